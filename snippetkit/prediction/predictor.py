"""Classify clips and recordings of any length with a finished run."""

import weakref
from contextlib import ExitStack
from functools import cache, cached_property

import numpy as np
import pandas as pd
import soxr
from scipy.special import softmax

from ..audio import recordings
from ..dataset import SnippetDataset
from ..features.pretrained.extraction import View, open_network
from ..features.pretrained.variants import change_speed
from ..filterbank import log_mel
from ..training.epoch import predict
from ..training.pooling import pool
from ..utils.errors import KitError
from ..utils.hardware import find_devices
from ..vocals.separation import RATE, open_backend, stereo
from ..vocals.weights import find_weights
from .loading import read_kinds
from .scores import average

_BLOCK = 64     # windows that are predicted together


class Predictor:
    """The finished members of a run, of all kinds, combined as in its submission.

    Only ``neighbours`` of a submission is not applied, because new sound has no song.

    Parameters
    ----------
    folder : path-like
        The work folder of the run.
    beside : iterable of path-like
        Work folders of other runs whose networks are averaged with those of this run, as with ``run --beside``.
    weights : path-like
        Spleeter's weights, as in `weights.find_weights`, if the run separated vocals.
    device : Device or None

    Attributes
    ----------
    recipe : Recipe
        Of the first kind.
    class_names : tuple of str
    wanted : dict
        How to load a recording: ``sample_rate`` and ``mono`` of `recordings.load`.

    Raises
    ------
    KitError
        As `read_kinds`; if weights that are needed are missing.

    Examples
    --------
    >>> import snippetkit as sk
    >>> sk.load("runs/mine").predict("7.mp3")                               # doctest: +SKIP
       start  end  category             class  probability_0  probability_1  probability_2  probability_3
    0    0.0  3.0         2  one female voice         0.0012         0.0213         0.9511         0.0264
    """

    STEP = 1.0      # seconds from one window to the next

    def __init__(self, folder, *, beside=(), weights="", device=None):
        kinds = read_kinds(folder, beside)
        self.recipe, self.class_names = kinds[0].recipe, kinds[0].class_names
        self._device = device or find_devices(self.recipe.precision)[0]
        self._kinds = [(kind, kind.load(self._device)) for kind in kinds]
        names = [name for kind in kinds for name in kind.recipe.views.split("+") if name]
        self._embedders = {
            network: open_network(network, self._device) for network in {View.named(name).network for name in names}
        }
        of_log_mel = [kind.recipe for kind in kinds if not kind.recipe.views]
        of_vocals = [recipe for recipe in of_log_mel if recipe.separator != "none"]
        needs_vocals = of_vocals or any(View.named(name).sound == "vocals" for name in names)
        self._separate = self._open_separator(weights) if needs_vocals else None
        # networks that only need the mixture at one rate are given exactly what they were trained on
        rates = {recipe.sample_rate for recipe in of_log_mel}
        is_simple = not needs_vocals and not names and len(rates) == 1
        self.wanted = {"sample_rate": rates.pop() if is_simple else RATE, "mono": is_simple}

    def _open_separator(self, weights):
        backend = open_backend(self.recipe.separator, find_weights(weights), fast=self.recipe.fast_separation)
        stack = ExitStack()
        separate = stack.enter_context(backend)
        weakref.finalize(self, stack.close)     # at the end of the process at the latest
        return separate

    def predict(self, path):
        """Who sings in a recording.

        Parameters
        ----------
        path : path-like
            In any format that `recordings.load` reads; 10 minutes and 50 MB at most.

        Returns
        -------
        DataFrame
            A row for each window of 3 seconds, one per second: ``start`` and ``end`` in seconds, ``category``,
            ``class``, and ``probability_0`` to ``probability_3``.

        Raises
        ------
        KitError
            As `recordings.load`.
        """
        return self._table(self.probabilities(self._load(path)))

    def predict_all(self, paths):
        """Who sings in each of many recordings; short ones are predicted together.

        Parameters
        ----------
        paths : iterable of path-like

        Yields
        ------
        path : path-like
        DataFrame or KitError
            As `predict` returns or raises it.
        """
        waiting = []
        for path in paths:
            try:
                signal = self._load(path)
            except KitError as error:
                yield from self._predict_together(waiting)
                waiting = []
                yield path, error
                continue
            windows = self._cut(signal)
            if len(windows) < _BLOCK:
                waiting.append((path, windows))
            if len(windows) >= _BLOCK or sum(len(some) for _, some in waiting) >= _BLOCK:
                yield from self._predict_together(waiting)
                waiting = []
            if len(windows) >= _BLOCK:
                yield path, self._table(self._probabilities(windows))
        yield from self._predict_together(waiting)

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
        return self._probabilities(self._cut(signal))

    @property
    def _rate(self):
        return self.wanted["sample_rate"]

    def _load(self, path):
        return recordings.load(path, **self.wanted, **recordings.LIMITS, silent=True)   # silence is no voice

    def _cut(self, signal):
        """Windows, shape (windows, samples) or (windows, samples, channels); without a copy."""
        size, step = round(self.recipe.seconds * self._rate), round(self.STEP * self._rate)
        signal = np.pad(signal, [(0, max(0, size - len(signal))), *[(0, 0)] * (signal.ndim - 1)])
        return np.moveaxis(np.lib.stride_tricks.sliding_window_view(signal, size, axis=0)[::step], -1, 1)

    def _predict_together(self, waiting):
        if waiting:
            ends = np.cumsum([len(windows) for _, windows in waiting])
            if len({windows.shape[2:] for _, windows in waiting}) > 1:      # mono beside stereo
                waiting = [(path, np.stack([stereo(window) for window in windows])) for path, windows in waiting]
            together = self._probabilities(np.concatenate([windows for _, windows in waiting]))
            for (path, _), probabilities in zip(waiting, np.split(together, ends[:-1])):
                yield path, self._table(probabilities)

    def _probabilities(self, windows):
        blocks = [windows[start : start + _BLOCK] for start in range(0, len(windows), _BLOCK)]
        scores = [self._scores(_Windows(block, self._rate, self._separate)) for block in blocks]
        return softmax(np.concatenate(scores), axis=1)

    def _scores(self, windows):
        """Combined logits: ndarray, shape (windows, classes)."""
        @cache
        def encoded(network, sound, speed):
            embedder = self._embedders[network]
            return embedder.encode(change_speed(windows.of(sound, embedder.rate), speed))

        @cache
        def view_of(name, speed):
            view = View.named(name)
            return view.pool(self._embedders[view.network], encoded(view.network, view.sound, speed))

        scores = [
            self._mean_logits(kind.recipe, members, self._features(kind.recipe, windows, view_of))
            for kind, members in self._kinds
        ]
        return pool(scores, [kind.weight for kind, _ in self._kinds])

    def _features(self, recipe, windows, view_of):
        if recipe.views:
            names = recipe.views.split("+")
            found = np.concatenate([view_of(name, speed) for speed in recipe.speeds for name in names], axis=-1)
            return found if recipe.is_network else found[:, np.newaxis]
        signals = windows.of("mixture" if recipe.separator == "none" else "vocals", recipe.sample_rate)
        return np.stack([log_mel(signal, recipe) for signal in signals]).astype(np.float32)

    def _mean_logits(self, recipe, members, features):
        logits = []
        for network, statistics in members:
            clips = SnippetDataset(features, device=self._device.name, statistics=statistics, channels=recipe.channels)
            logits.append(predict(network, clips, self._device))
        return average(np.stack(logits))

    def _table(self, probabilities):
        start = self.STEP * np.arange(len(probabilities))
        category = probabilities.argmax(axis=1)
        return pd.DataFrame({
            "start": start, "end": start + self.recipe.seconds, "category": category,
            "class": [self.class_names[label] for label in category],
            **{f"probability_{label}": column for label, column in enumerate(probabilities.T)},
        })


class _Windows:
    """Windows of a recording: their mixture and their vocals, at any rate, each computed once."""

    def __init__(self, samples, rate, separate):
        self._samples, self._rate, self._separate = samples, rate, separate
        self._found = {}

    def of(self, sound, rate):
        """'mixture' or 'vocals' at a rate: ndarray, shape (windows, samples), float32."""
        if (sound, rate) not in self._found:
            signals = self._vocals if sound == "vocals" else self._mixture
            self._found[sound, rate] = np.stack([_resample(signal, self._rate, rate) for signal in signals])
        return self._found[sound, rate]

    @cached_property
    def _mixture(self):
        return self._samples if self._samples.ndim == 2 else self._samples.mean(axis=2)

    @cached_property
    def _vocals(self):
        batch, mixtures = self._separate.batch, np.stack([stereo(window) for window in self._samples])
        parts = [self._separate(mixtures[start : start + batch]) for start in range(0, len(mixtures), batch)]
        return np.concatenate(parts).mean(axis=2)


def _resample(signal, rate, wanted):
    return signal if rate == wanted else soxr.resample(signal, rate, wanted)
