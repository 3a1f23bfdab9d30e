"""From sound to the spectrogram that Spleeter's network was trained on, and back, to the sample as Spleeter does it.

Nothing here is the feature's spectrogram: that is the filterbank's.
"""

import torch
from torch.nn import functional

LENGTH = 4096   # samples of a frame
HOP = 1024


def spectrum(signals):
    """Short-time Fourier transform of signals with a frame of zeros put before them.

    Parameters
    ----------
    signals : Tensor, shape (..., samples), float32

    Returns
    -------
    Tensor, shape (..., frames, LENGTH // 2 + 1), complex64
        ``ceil((LENGTH + samples) / HOP)`` frames; the last ones are filled with zeros.
    """
    frames = -(-(LENGTH + signals.shape[-1]) // HOP)
    after = (frames - 1) * HOP - signals.shape[-1]
    padded = functional.pad(signals, (LENGTH, after))
    return torch.fft.rfft(padded.unfold(-1, LENGTH, HOP) * _window(signals.device))


def signal(spectrum, samples):
    """The inverse: overlapping frames added, without the frame of zeros.

    Parameters
    ----------
    spectrum : Tensor, shape (..., frames, LENGTH // 2 + 1), complex64
    samples : int

    Returns
    -------
    Tensor, shape (..., samples), float32
    """
    frames = torch.fft.irfft(spectrum) * _window(spectrum.device)
    *others, count, _ = frames.shape
    pieces = frames.reshape(*others, count, LENGTH // HOP, HOP)
    summed = frames.new_zeros(*others, count + LENGTH // HOP - 1, HOP)
    for late in range(LENGTH // HOP):
        summed[..., late : late + count, :] += pieces[..., late, :]
    # The squares of four windows, a quarter of their length apart, add up to 3/2 everywhere.
    return summed.flatten(-2)[..., LENGTH : LENGTH + samples] * (2 / 3)


def _window(device):
    return torch.hann_window(LENGTH, periodic=True, device=device)
