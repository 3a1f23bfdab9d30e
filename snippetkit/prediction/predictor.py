"""A finished run that is used: who sings in new sound, a clip or a recording of any length."""

import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import soxr
from scipy.special import softmax

from ..audio import recordings
from ..data.labels import CLASSES
from ..dataset import SnippetDataset
from ..features import extraction
from ..features.pretrained.extraction import FRAMES, View, open_network
from ..filterbank import log_mel
from ..recipe import NETWORKS, Recipe
from ..training.epoch import predict
from ..training.members import finished_kinds, kind_folder, member_folder, shared_recipe
from ..training.pooling import pool
from ..training.weights import load_network, read_statistics
from ..utils.errors import KitError
from ..utils.hardware import find_devices
from ..utils.storage import read_json
from ..vocals.separation import RATE, open_backend, stereo
from ..vocals.weights import find_weights
from .scores import average

_BLOCK = 64     # windows that are in memory at a time


@dataclass(frozen=True)
class _Kind:
    """The members of one kind: their networks, and the statistics that standardise each one's features."""

    recipe: Recipe
    networks: list
    statistics: list
    weight: float


class Predictor:
    """The finished members of a run, of all kinds, combined as in its submission.

    Parameters
    ----------
    folder : path-like
        The work folder of the run.
    beside : iterable of path-like
        Work folders of runs whose networks are averaged, too, as with ``run --beside``.
    weights : path-like
        Spleeter's weights, as in `weights.find_weights`, if the run separated vocals.
    device : Device or None

    Attributes
    ----------
    recipe : Recipe
        Of the first kind.
    wanted : dict
        How to load a recording: ``sample_rate`` and ``mono`` of `recordings.load`.

    Raises
    ------
    KitError
        If there is no finished member, several kinds were not combined yet, or weights that are needed are missing.

    Examples
    --------
    >>> import snippetkit as sk
    >>> sk.load("runs/mine").predict("7.mp3")                               # doctest: +SKIP
       start  end  category             class  probability_0  probability_1  probability_2  probability_3
    0    0.0  3.0         2  one female voice         0.0012         0.0213         0.9511         0.0264
    """

    STEP = 1.0      # seconds from one window to the next

    def __init__(self, folder, *, beside=(), weights="", device=None):
        found = _read_kinds(folder)
        if len(found) > 1 and beside:
            raise KitError(f"{folder} has several kinds of members, which are not averaged with other runs.")
        found += [kind for other in beside for kind in _read_kinds(other)]
        count = sum(len(members) for _, _, members, _ in found)
        self.recipe = found[0][1]
        self._device = device or find_devices(self.recipe.precision)[0]
        self._kinds = [
            _load_kind(folder, recipe, members, weight or len(members) / count, self._device)
            for folder, recipe, members, weight in found
        ]
        self._embedders, self._separate = {}, None
        views = [View.named(name) for kind in self._kinds for name in kind.recipe.views.split("+") if name]
        self._views = list(dict.fromkeys(views))
        for network in {view.network for view in views}:
            self._embedders[network] = open_network(network, self.recipe.precision)
        if self.recipe.separator != "none":
            self._separate = self._open_separator(weights)
        # a run that only needs the mixture at one rate is given exactly what it was trained on
        is_simple = not views and self._separate is None
        self.wanted = {"sample_rate": self.recipe.sample_rate if is_simple else RATE, "mono": is_simple}

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
            In any format that `recordings.load` reads.

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
                waiting.append((path, self._cut(self._load(path))))
            except KitError as error:
                yield path, error
            if sum(len(windows) for _, windows in waiting) >= _BLOCK:
                yield from self._predict_together(waiting)
                waiting = []
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

    def levels(self, signal):
        """Mel spectrogram of a recording: ndarray (frames, bands), in dB relative to the loudest point."""
        signal = _resample(signal if signal.ndim == 1 else signal.mean(axis=1), self._rate, self.recipe.sample_rate)
        levels = log_mel(signal, self.recipe)[:, : self.recipe.n_mels] / 2   # published as 20 log10, of an energy
        return levels - levels.max()

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
        views = {view: self._view(view, windows) for view in self._views}
        scores = [self._scores_of(kind, self._features(kind.recipe, windows, views)) for kind in self._kinds]
        return pool(scores, [kind.weight for kind in self._kinds])

    def _view(self, view, windows):
        embedder = self._embedders[view.network]
        compute = partial(embedder.frames, count=FRAMES) if view.over_time else embedder.pooled
        return compute(windows.of(view.sound, embedder.rate)).astype(view.dtype)

    def _features(self, recipe, windows, views):
        if recipe.views:
            found = np.concatenate([views[View.named(name)] for name in recipe.views.split("+")], axis=-1)
            return found if recipe.is_network else found[:, np.newaxis]
        signals = windows.of("mixture" if recipe.separator == "none" else "vocals", recipe.sample_rate)
        return np.stack([log_mel(signal, recipe) for signal in signals]).astype(np.float32)

    def _scores_of(self, kind, features):
        channels = 1 if kind.recipe.views else kind.recipe.channels
        logits = []
        for network, statistics in zip(kind.networks, kind.statistics):
            clips = SnippetDataset(features, device=self._device.name, statistics=statistics, channels=channels)
            logits.append(predict(network, clips, self._device))
        return average(np.stack(logits))

    def _table(self, probabilities):
        start = self.STEP * np.arange(len(probabilities))
        category = probabilities.argmax(axis=1)
        return pd.DataFrame({
            "start": start, "end": start + self.recipe.seconds, "category": category,
            "class": [CLASSES[label] for label in category],
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


def _read_kinds(folder):
    """Folder, recipe, members and weight of each kind in a work folder; None if its members are only averaged."""
    folder, kinds = Path(folder), finished_kinds(folder) or {NETWORKS: []}      # which `shared_recipe` then refuses
    weights = {}
    if len(kinds) > 1:
        weights = {kind["kind"]: kind["weight"] for kind in (read_json(folder / "report.json") or {}).get("kinds", [])}
        if weights.keys() != kinds.keys():
            raise KitError(f"the kinds of members in {folder} are not combined yet. Run the notebook 04_predict first.")
    return [
        (kind_folder(folder, kind), shared_recipe(kind_folder(folder, kind), members)[0], members, weights.get(kind))
        for kind, members in kinds.items()
    ]


def _load_kind(folder, recipe, members, weight, device):
    folders = [member_folder(folder, member) for member in members]
    networks = [load_network(path, recipe, classes=len(CLASSES), device=device) for path in folders]
    statistics = [read_statistics(path) for path in folders]
    if recipe.standardise and not recipe.views and None in statistics:
        # Members of earlier versions did not keep theirs; those of all train clips hardly differ.
        features = extraction.load(folder.parent / "features" / "train.npy")
        statistics = [extraction.band_statistics(features.array)] * len(members)
    return _Kind(recipe, networks, statistics, weight)
