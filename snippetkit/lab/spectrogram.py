"""Mel spectrograms in batches of tensors, on the device, for song identification and genres.

The mel triangles are the core's. The core's features are computed once and stored; these are computed for every batch,
because the noise is new in every epoch.
"""

import numpy as np
import torch

from ..filterbank import hz_to_mel, mel_to_hz, recipe_triangles

_RANGE = 80.0       # dB


class MelSpectrogram:
    """Mel spectrogram in dB relative to its loudest point, at most 80 dB down, scaled to mean 0 and deviation 1.

    Parameters
    ----------
    recipe : Recipe
        Its sample rate, n_fft (also the length of the Hann window), hop and bands.
    device : str

    Attributes
    ----------
    frequencies : Tensor, shape (bands,)
        Centres of the bands, in Hz.
    """

    def __init__(self, recipe, *, device="cpu"):
        self.recipe, self.device = recipe, device
        self._window = torch.hann_window(recipe.n_fft, device=device)
        mels = np.linspace(hz_to_mel(recipe.f_min), hz_to_mel(recipe.f_max), recipe.n_mels + 2)[1:-1]
        self.frequencies = torch.tensor(mel_to_hz(mels), dtype=torch.float32, device=device)
        self._triangles = torch.tensor(recipe_triangles(recipe), dtype=torch.float32, device=device).T

    def energy(self, signals):
        """Mel energy, with a frame around every `hop`-th sample: Tensor (batch, samples) to (batch, frames, bands).

        There are ``1 + samples // hop`` frames.
        """
        spectrum = torch.stft(
            signals, self.recipe.n_fft, self.recipe.hop, window=self._window, pad_mode="constant", return_complex=True,
        )
        return (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2) @ self._triangles

    def levels(self, signal):
        """For pictures: ndarray (samples,) to (frames, bands), in dB relative to the loudest point."""
        return decibels(self.energy(torch.tensor(signal, device=self.device)[None]))[0].cpu().numpy()

    def __call__(self, signals, gains=None):
        """The input of a network.

        Parameters
        ----------
        signals : Tensor, shape (batch, samples)
        gains : Tensor, shape (batch, bands), or None
            Gain of each band, in dB.

        Returns
        -------
        Tensor, shape (batch, 1, frames, bands)
            All zeros for silence.
        """
        energy = self.energy(signals)
        if gains is not None:
            energy = energy * 10 ** (gains[:, None].to(energy.device) / 10)
        return normalise(decibels(energy))[:, None]


def decibels(energy):
    """Levels relative to the loudest point of each fragment.

    Parameters
    ----------
    energy : Tensor, shape (batch, frames, bands)

    Returns
    -------
    Tensor, shape (batch, frames, bands)
        From -80 to 0.

    Examples
    --------
    >>> decibels(torch.tensor([[[5.0, 0.5, 0.0]]]))
    tensor([[[  0., -10., -80.]]])
    """
    loudest = energy.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(energy.dtype).tiny)
    return 10 * torch.log10((energy / loudest).clamp_min(10 ** (-_RANGE / 10)))


def normalise(levels):
    """Scale each fragment to mean 0 and deviation 1; a constant one becomes 0.

    Parameters
    ----------
    levels : Tensor, shape (batch, frames, bands)

    Returns
    -------
    Tensor, shape (batch, frames, bands)

    Examples
    --------
    >>> normalise(torch.tensor([[[-3.0], [-2.0], [-1.0]]])).flatten()
    tensor([-1.,  0.,  1.])
    """
    deviation, mean = torch.std_mean(levels, dim=(1, 2), keepdim=True)
    return (levels - mean) / deviation.clamp_min(1e-3)
