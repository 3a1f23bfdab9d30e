"""A voice encoder: one vector that is similar for one speaker's recordings, trained on LibriSpeech and VoxCeleb.

Wan et al., "Generalized end-to-end loss for speaker verification" (2018), in the proportions of the package Resemblyzer
0.1.4, from whose wheel the weights are taken.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from ...utils.errors import KitError
from .releases import VOICE_ENCODER
from .spectrum import mean_frames, mel_power

RATE = 16_000   # Hz
WINDOW = 160    # frames: 1.6 s
SIZE = 256      # of the vector
_BANDS = 40
_LEAST_LEVEL = -30  # dBFS, to which quieter clips are raised


class VoiceEncoder(nn.Module):
    """Three LSTMs over mel frames and a layer above the last state."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, SIZE, num_layers=3, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)

    def forward(self, mel):
        """Encode windows.

        Parameters
        ----------
        mel : Tensor, shape (windows, frames, 40)
            As `mel_frames` gives it; the network was trained on windows of WINDOW frames.

        Returns
        -------
        Tensor, shape (windows, SIZE)
            Of length 1.
        """
        _, (hidden, _) = self.lstm(mel)
        return functional.normalize(functional.relu(self.linear(hidden[-1])), dim=1)


class Embedder:
    """The voice in three windows of a clip as features.

    Parameters
    ----------
    folder : path-like
        Where the file of `releases.VOICE_ENCODER` is.
    device : Device

    Raises
    ------
    KitError
        If the file is missing or damaged.
    """

    rate = RATE

    def __init__(self, folder, device):
        self._device = device
        self._encoder = load(folder).to(device.name)

    def encode(self, samples):
        """`mel_frames` of clips, which `pooled` and `frames` take: Tensor.

        Parameters
        ----------
        samples : ndarray, shape (clips, samples), float32
            At `RATE`.
        """
        return mel_frames(torch.from_numpy(samples).to(self._device.name))

    @torch.inference_mode()
    def pooled(self, encoded):
        """Mean and standard deviation of the vector over the windows: ndarray, shape (clips, 2 * SIZE), float32.

        Two singers in turn make the vectors of the windows differ.
        """
        cut = windows(encoded)
        vectors = self._encoder(cut.flatten(0, 1)).unflatten(0, cut.shape[:2])
        return torch.cat([vectors.mean(dim=1), vectors.std(dim=1, correction=0)], dim=1).cpu().numpy()

    @torch.inference_mode()
    def frames(self, encoded, *, count):
        """The states of the last LSTM, over time: means of `count` parts, ndarray (clips, count, SIZE), float32."""
        states, _ = self._encoder.lstm(encoded)
        return mean_frames(states.transpose(1, 2), count)


def load(folder):
    """Build the encoder with its weights.

    Parameters
    ----------
    folder : path-like
        Where the file of `releases.VOICE_ENCODER` is.

    Returns
    -------
    VoiceEncoder
        In evaluation mode.

    Raises
    ------
    KitError
        If the file is missing or damaged.
    """
    path = Path(folder, *VOICE_ENCODER.files)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        network = VoiceEncoder()
        network.load_state_dict({name: value for name, value in state.items() if not name.startswith("similarity")})
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise KitError(f"{path} cannot be read as the voice encoder's weights ({error}). Delete it.") from error
    return network.eval().requires_grad_(False)


def mel_frames(samples):
    """The spectrogram that the encoder takes: power in mel bands, without a logarithm, of clips that are loud enough.

    Parameters
    ----------
    samples : Tensor, shape (clips, samples), float32
        At `RATE`.

    Returns
    -------
    Tensor, shape (clips, 1 + samples // 160, 40)
    """
    rms = samples.square().mean(dim=1, keepdim=True).sqrt()
    least = 10 ** (_LEAST_LEVEL / 20)
    samples = torch.where((rms > 0) & (rms < least), samples * (least / rms), samples)
    return mel_power(samples, rate=RATE, n_fft=400, hop=160, bands=_BANDS)


def windows(mel, count=3):
    """Cut evenly spaced windows of WINDOW frames.

    Parameters
    ----------
    mel : Tensor, shape (clips, frames, 40)
        A clip that is shorter than a window is followed by silence.
    count : int

    Returns
    -------
    Tensor, shape (clips, count, WINDOW, 40)
    """
    mel = functional.pad(mel, (0, 0, 0, max(0, WINDOW - mel.shape[1])))
    last = mel.shape[1] - WINDOW
    return torch.stack([mel[:, start : start + WINDOW] for start in _starts(last, count)], dim=1)


def _starts(last, count):
    return [round(last * number / max(1, count - 1)) for number in range(count)]
