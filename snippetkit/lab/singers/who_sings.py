"""Who sings in each 3-second window of a recording of any length, predicted by the ensemble of a finished run."""

import weakref
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soxr
from scipy.special import softmax

from ...data.labels import CLASSES
from ...dataset import SnippetDataset
from ...features import extraction
from ...filterbank import log_mel
from ...training.members import finished_members, shared_recipe
from ...utils.hardware import find_devices
from ...vocals.separation import RATE, open_backend, stereo
from ...vocals.weights import find_weights
from ..methods import load_networks, predict_average


class WhoSings:
    """The finished members of a run.

    Parameters
    ----------
    folder : path-like
        The work folder of the run.
    weights : path-like
        Spleeter's weights, as in `weights.find_weights`, if the run separated vocals.
    device : Device or None

    Attributes
    ----------
    wanted : dict
        How to load a recording: ``sample_rate`` and ``mono`` of `sound.load`.

    Raises
    ------
    KitError
        If there is no finished member, or its vocals cannot be separated here.
    """

    STEP = 1.0      # seconds from one window to the next

    def __init__(self, folder, *, weights="", device=None):
        folder, members = Path(folder), Path(folder, "members")
        numbers = finished_members(members)
        self.recipe, _ = shared_recipe(members, numbers)
        self.wanted = {"sample_rate": self.recipe.sample_rate, "mono": True}
        self._separate = None
        if self.recipe.separator != "none":
            self.wanted = {"sample_rate": RATE, "mono": False}
            backend = open_backend(self.recipe.separator, find_weights(weights), fast=self.recipe.fast_separation)
            stack = ExitStack()
            self._separate = stack.enter_context(backend)
            weakref.finalize(self, stack.close)     # at the end of the process at the latest
        self._device = device or find_devices(self.recipe.precision)[0]
        # Of all train clips. Each member was trained with those of its own training set; the difference is negligible.
        self._statistics = None
        if self.recipe.standardise:
            self._statistics = extraction.band_statistics(extraction.load(folder / "features" / "train.npy").array)
        self._networks = load_networks(members, numbers, self.recipe, classes=len(CLASSES), device=self._device)

    def levels(self, signal):
        """Mel spectrogram of a recording: ndarray (frames, bands), in dB relative to the loudest point."""
        signal = self._resampled(signal if signal.ndim == 1 else signal.mean(axis=1))
        levels = log_mel(signal, self.recipe)[:, : self.recipe.n_mels] / 2   # published as 20 log10, of an energy
        return levels - levels.max()

    def probabilities(self, signal):
        """Class probabilities of windows of 3 seconds, one per second.

        Parameters
        ----------
        signal : ndarray, shape (samples,) or (samples, channels), float32
            Loaded as `wanted` says. Silence is appended if it is shorter than a window.

        Returns
        -------
        ndarray, shape (windows, classes), float64
        """
        rate = self.wanted["sample_rate"]
        size, step = round(self.recipe.seconds * rate), round(self.STEP * rate)
        signal = np.pad(signal, [(0, max(0, size - len(signal))), *[(0, 0)] * (signal.ndim - 1)])
        starts = range(0, len(signal) - size + 1, step)
        vocals = (self._vocals(signal[start : start + size]) for start in starts)
        features = np.stack([log_mel(window, self.recipe) for window in vocals]).astype(np.float32)
        dataset = SnippetDataset(
            features, device=self._device.name, statistics=self._statistics, channels=self.recipe.channels
        )
        return softmax(predict_average(self._networks, dataset, self._device), axis=1)

    def _vocals(self, window):
        if self._separate is None:
            return window
        return self._resampled(self._separate(stereo(window)[None])[0].mean(axis=1))

    def _resampled(self, signal):
        rate = self.wanted["sample_rate"]
        return signal if rate == self.recipe.sample_rate else soxr.resample(signal, rate, self.recipe.sample_rate)
