"""Waveforms to what the networks of song identification see, by the batch and on the device.

The mel triangles are the core's; what is different is that here the noise is new in every epoch, so that nothing can be
computed beforehand, and everything is a tensor.
"""

import numpy as np
import torch

from ..filterbank import hz_to_mel, mel_to_hz, recipe_triangles

_RANGE = 80.0       # dB below the loudest that are kept


class MelSpectrogram:
    """Mel power in dB relative to the loudest of each fragment, 80 dB down at most, of mean 0 and deviation 1.

    Parameters
    ----------
    recipe : Recipe
        Its sample rate, n_fft (the window, Hann, is as long), hop and bands.
    device : str

    Attributes
    ----------
    frequencies : Tensor, shape (bands,)
        At which each band is centred, in Hz.
    """

    def __init__(self, recipe, *, device="cpu"):
        self.recipe = recipe
        self.device = device
        self._window = torch.hann_window(recipe.n_fft, device=device)
        mels = np.linspace(hz_to_mel(recipe.f_min), hz_to_mel(recipe.f_max), recipe.n_mels + 2)[1:-1]
        self.frequencies = torch.tensor(mel_to_hz(mels), dtype=torch.float32, device=device)
        self._triangles = torch.tensor(recipe_triangles(recipe), dtype=torch.float32, device=device).T

    def frames(self, samples):
        """Frames that so many samples give: one around each `hop` samples, the first around sample 0."""
        return 1 + samples // self.recipe.hop

    def energy(self, signals):
        """Mel power: Tensor (batch, samples) to (batch, frames, bands)."""
        spectrum = torch.stft(
            signals, self.recipe.n_fft, self.recipe.hop, window=self._window, center=True, pad_mode="constant",
            return_complex=True,
        )
        return (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2) @ self._triangles

    def levels(self, signal):
        """For people: ndarray (samples,) to (frames, bands), in dB relative to the loudest."""
        return decibels(self.energy(torch.tensor(signal, device=self.device)[None]))[0].cpu().numpy()

    def __call__(self, signals, gains=None):
        """What a network sees: Tensor (batch, samples) to (batch, 1, frames, bands); silence is all zeros.

        `gains`, Tensor (batch, bands), are dB by which each fragment's bands are changed before.
        """
        energy = self.energy(signals)
        if gains is not None:
            energy = energy * 10 ** (gains[:, None].to(energy.device) / 10)
        return normalised(decibels(energy))[:, None]


def decibels(energy):
    """Levels relative to the loudest of each fragment, -80 to 0: Tensor (batch, frames, bands) to the same shape."""
    loudest = energy.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(energy.dtype).tiny)
    return 10 * torch.log10((energy / loudest).clamp_min(10 ** (-_RANGE / 10)))


def normalised(levels):
    """Each fragment with mean 0 and deviation 1: Tensor (batch, frames, bands); one that is all the same is 0."""
    deviation, mean = torch.std_mean(levels, dim=(1, 2), keepdim=True)
    return (levels - mean) / deviation.clamp_min(1e-3)
