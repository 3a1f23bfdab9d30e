"""The backend "torch": Spleeter's network, and the short-time Fourier transform that it was trained on."""

from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch.nn import functional

from ..utils.errors import KitError
from ..utils.hardware import find_devices
from ..utils.progress import say
from . import checkpoint, unet

FRAME_LENGTH = 4096     # samples
HOP_LENGTH = 1024


class Network:
    """Separates clips with the weights in a folder.

    Parameters
    ----------
    weights : path-like
        The folder with Spleeter's files.
    fast : bool
        Compute in half precision if the device has units for it.
    device : hardware.Device or None
        None: the first GPU, or the CPU.

    Raises
    ------
    KitError
        If the weights are missing, damaged, or of another model.
    """

    def __init__(self, weights, *, fast=False, device=None):
        self._device = device or find_devices()[0]
        self._precision = self._device.autocast if fast else nullcontext
        if fast and self._device.precision == "fp32":
            say(f"fast_separation has no effect: {self._device.title} has no units for half precision.")
        # On a CPU a few clips fill the caches; a GPU needs more.
        self.batch = 4 if self._device.kind == "cpu" else 32
        self._masks = unet.build_masks(checkpoint.read(weights))
        self._masks = self._masks.to(self._device.name, memory_format=torch.channels_last)
        with _exact():
            self._silence = self._masks.vocals.silent_columns(), self._masks.accompaniment.silent_columns()

    def __call__(self, mixtures):
        """Separate clips of one length.

        Parameters
        ----------
        mixtures : ndarray, shape (clips, samples, 2), float32
            At `separation.RATE`.

        Returns
        -------
        ndarray, of the same shape, float32
            The vocals.

        Raises
        ------
        KitError
            If the GPU's memory is too small for them.
        """
        try:
            with _exact():
                return self._separate(mixtures)
        except torch.OutOfMemoryError as error:
            raise KitError(
                f"{self._device.title} has too little memory for {len(mixtures)} clips of {mixtures.shape[1]} samples. "
                "Free some, or hide the GPU with CUDA_VISIBLE_DEVICES='' to separate on the CPU."
            ) from error

    def _separate(self, mixtures):
        spectrum = stft(torch.from_numpy(mixtures).to(self._device.name).transpose(1, 2))
        segments = spectrum[..., : unet.BINS].abs().split(unet.FRAMES, dim=2)
        spectrum[..., : unet.BINS] *= torch.cat([self._mask(segment) for segment in segments], dim=2)
        spectrum[..., unet.BINS :] = 0      # the network estimates nothing above
        vocals = istft(spectrum, mixtures.shape[1])
        return np.ascontiguousarray(vocals.transpose(1, 2).cpu().numpy())

    def _mask(self, segment):
        segment = segment.contiguous(memory_format=torch.channels_last)
        frames = segment.shape[2]
        with self._precision():
            if frames <= unet.SIGHT:
                return self._masks(segment, self._silence)
            return self._masks(functional.pad(segment, (0, 0, 0, unet.FRAMES - frames)))[:, :, :frames]


def stft(signals):
    """Short-time Fourier transform, to the sample as Spleeter computes it: a frame of zeros precedes the signal.

    Parameters
    ----------
    signals : Tensor, shape (..., samples), float32

    Returns
    -------
    Tensor, shape (..., frames, FRAME_LENGTH // 2 + 1), complex64
        ``ceil((FRAME_LENGTH + samples) / HOP_LENGTH)`` frames; the last ones are zero-padded.

    Examples
    --------
    >>> stft(torch.zeros(2, 132_300)).shape
    torch.Size([2, 134, 2049])
    """
    frames = -(-(FRAME_LENGTH + signals.shape[-1]) // HOP_LENGTH)
    after = (frames - 1) * HOP_LENGTH - signals.shape[-1]
    padded = functional.pad(signals, (FRAME_LENGTH, after))
    return torch.fft.rfft(padded.unfold(-1, FRAME_LENGTH, HOP_LENGTH) * _window(signals.device))


def istft(spectrum, samples):
    """The inverse of `stft`: overlapping frames added, without the frame of zeros.

    Parameters
    ----------
    spectrum : Tensor, shape (..., frames, FRAME_LENGTH // 2 + 1), complex64
    samples : int

    Returns
    -------
    Tensor, shape (..., samples), float32

    Examples
    --------
    >>> istft(stft(torch.ones(2, 5000)), 5000).round(decimals=3).unique()
    tensor([1.])
    """
    frames = torch.fft.irfft(spectrum) * _window(spectrum.device)
    *others, count, _ = frames.shape
    overlap = FRAME_LENGTH // HOP_LENGTH
    pieces = frames.reshape(*others, count, overlap, HOP_LENGTH)
    total = frames.new_zeros(*others, count + overlap - 1, HOP_LENGTH)
    for delay in range(overlap):
        total[..., delay : delay + count, :] += pieces[..., delay, :]
    # The squares of four Hann windows, a quarter of their length apart, sum to 3/2 everywhere.
    return total.flatten(-2)[..., FRAME_LENGTH : FRAME_LENGTH + samples] * (2 / 3)


def _window(device):
    return torch.hann_window(FRAME_LENGTH, periodic=True, device=device)


@contextmanager
def _exact():
    # TF32 would silently round a GPU's products to ten bits.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
