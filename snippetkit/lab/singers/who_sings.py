"""The ensemble of the main road, asked about a recording of any length: who sings in each of its 3-second windows."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soxr

from ...data.labels import CLASSES
from ...dataset import SnippetDataset
from ...features.extraction import band_statistics
from ...features.extraction import load as load_features
from ...filterbank import log_mel
from ...prediction.scores import average
from ...training.checkpoint import load_network
from ...training.epoch import predict
from ...training.members import finished_members, member_folder, shared_recipe
from ...utils.hardware import find_devices
from ...vocals.separation import RATE, open_backend, stereo
from ...vocals.weights import find_weights


class WhoSings:
    """The finished members of a run.

    Parameters
    ----------
    folder : path-like
        The work folder of a run.
    weights : path-like
        Spleeter's weights, as in `weights.find_weights`, where the members heard separated vocals.
    device : Device or None

    Attributes
    ----------
    wanted : dict
        How a recording is to be loaded: ``sample_rate`` and ``mono`` of `sound.load`.

    Raises
    ------
    KitError
        If there is no finished member, or its vocals cannot be separated here.
    """

    STEP = 1.0      # seconds from one window to the next

    def __init__(self, folder, *, weights="", device=None):
        folder = Path(folder)
        members = finished_members(folder / "members")
        self.recipe, _ = shared_recipe(folder / "members", members)
        self._separate = None
        self.wanted = {"sample_rate": self.recipe.sample_rate, "mono": True}
        if self.recipe.separator != "none":
            self.wanted = {"sample_rate": RATE, "mono": False}
            backend = open_backend(
                self.recipe.separator, find_weights(weights), fast=self.recipe.fast_separation
            )
            self._separate = ExitStack().enter_context(backend)     # for as long as the process lives
        device = device or find_devices(self.recipe.precision)[0]
        self._device = device
        # Over all train clips, where each member has those of its own folds: a difference far below the noise.
        self._statistics = None
        if self.recipe.standardise:
            self._statistics = band_statistics(load_features(folder / "features" / "train.npy").array)
        self._networks = [
            load_network(
                member_folder(folder / "members", i) / "last.pt", self.recipe, classes=len(CLASSES), device=device
            )
            for i in members
        ]

    def levels(self, signal):
        """The mel spectrogram of a recording: ndarray (frames, bands), in dB relative to the loudest."""
        signal = self._resampled(signal if signal.ndim == 1 else signal.mean(axis=1))
        levels = log_mel(signal, self.recipe)[:, : self.recipe.n_mels] / 2   # published as twenty times the logarithm
        return levels - levels.max()

    def probabilities(self, signal):
        """Class probabilities of windows of 3 seconds, one each second.

        Parameters
        ----------
        signal : ndarray, shape (samples,) or (samples, channels), float32
            As `wanted` says; what is shorter than a window is followed by silence.

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
        logits = average(np.stack([predict(network, dataset, self._device) for network in self._networks]))
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        return likely / likely.sum(axis=1, keepdims=True)

    def _vocals(self, window):
        if self._separate is None:
            return window
        return self._resampled(self._separate(stereo(window)[None])[0].mean(axis=1))

    def _resampled(self, signal):
        rate = self.wanted["sample_rate"]
        return signal if rate == self.recipe.sample_rate else soxr.resample(signal, rate, self.recipe.sample_rate)
