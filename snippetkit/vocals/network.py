"""The backend "torch": Spleeter's network on whatever device torch has."""

from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch.nn import functional

from ..utils.errors import KitError
from ..utils.hardware import find_devices
from ..utils.progress import say
from . import checkpoint, spectral, unet


class Network:
    """Separates clips with the weights in a folder.

    Parameters
    ----------
    weights : path-like
        The folder with Spleeter's files.
    fast : bool
        Compute in half precision where the device has units for it.
    device : hardware.Device or None
        None: the first GPU, or the CPU.

    Raises
    ------
    KitError
        If the weights are missing, damaged, or another model's.
    """

    def __init__(self, weights, *, fast=False, device=None):
        self._device = device or find_devices()[0]
        self._precision = self._device.autocast if fast else nullcontext
        if fast and self._device.precision == "fp32":
            say(f"fast_separation changes nothing here: {self._device.title} has no units for half precision.")
        # On a CPU a few clips fill its caches, a GPU wants more.
        self.batch = 4 if self._device.kind == "cpu" else 32
        self._masks = unet.build_masks(checkpoint.read(weights)).to(self._device.name, memory_format=torch.channels_last)
        with _exact():
            self._silence = self._masks.vocals.silent_columns(), self._masks.accompaniment.silent_columns()

    def __call__(self, mixtures):
        """Separate clips of one length.

        Parameters
        ----------
        mixtures : ndarray, shape (clips, samples, 2), float32
            At `backends.RATE`.

        Returns
        -------
        ndarray, of the same shape, float32
            The vocals.

        Raises
        ------
        KitError
            If they are more than the GPU's memory holds.
        """
        try:
            return self._separated(mixtures)
        except torch.OutOfMemoryError as error:
            raise KitError(
                f"{self._device.title} has no memory left for {len(mixtures)} clips of {mixtures.shape[1]} samples; "
                "free it, or hide it with CUDA_VISIBLE_DEVICES='' to separate on the CPU."
            ) from error

    def _separated(self, mixtures):
        with _exact():
            signals = torch.from_numpy(mixtures).to(self._device.name).transpose(1, 2)
            spectrum = spectral.spectrum(signals)
            segments = spectrum[..., : unet.BINS].abs().split(unet.FRAMES, dim=2)
            mask = torch.cat([self._mask(segment) for segment in segments], dim=2)
            spectrum[..., : unet.BINS] *= mask
            spectrum[..., unet.BINS :] = 0  # the network does not hear what lies above
            vocals = spectral.signal(spectrum, mixtures.shape[1])
            return np.ascontiguousarray(vocals.transpose(1, 2).cpu().numpy())

    def _mask(self, segment):
        segment = segment.contiguous(memory_format=torch.channels_last)
        frames = segment.shape[2]
        with self._precision():
            if frames <= unet.SIGHT:
                return self._masks(segment, self._silence)
            return self._masks(functional.pad(segment, (0, 0, 0, unet.FRAMES - frames)))[:, :, :frames]


@contextmanager
def _exact():
    # TF32 would round what a GPU multiplies to ten bits, unasked.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
