"""Songs without training: a fingerprint index, and the distance of embeddings, in the tests of the networks."""

import copy
import time
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from torch import nn

from ...training.epoch import PREDICTION_BATCH, predict
from ...utils.errors import KitError
from ...utils.hardware import Device
from .evaluation import accuracy_by_snr, evaluate, keep
from .fragments import NoisyFragments
from .index import FORMAT, SAMPLE_RATE, FingerprintIndex

_CPU = Device("cpu", "CPU", "fp32")
_FRAGMENTS = 100        # of each song that an embedding is compared with, under the noises for training
_SEED = 4


class IndexRecogniser:
    """An index with the interface that `evaluation` expects of a `Recogniser`. Its probabilities are scores.

    Parameters
    ----------
    data : SongData
    recipe : Recipe
        Of the networks with which the index is compared.
    results : path-like
        Folder of the results that are kept, see `evaluation.keep`.

    Attributes
    ----------
    index : FingerprintIndex
        Of the songs in `data.songs`.
    recipe, device
        As given; always the CPU.
    seconds : float
        How long it took to add the songs and to sort the index.

    Raises
    ------
    KitError
        If the recipe has another sample rate; as `FingerprintIndex.add`.
    """

    identity = f"index, version {FORMAT}"

    def __init__(self, data, recipe, results):
        if recipe.sample_rate != SAMPLE_RATE:
            raise KitError(f"the index needs a sample rate of {SAMPLE_RATE} Hz, not {recipe.sample_rate}.")
        self.data, self.recipe, self.device, self.index = data, recipe, _CPU, FingerprintIndex()
        self.results = results
        start = time.perf_counter()
        for name, song in zip(data.names, data.songs):
            self.index.add(name, song)
        self.index.scores(data.songs[0][: recipe.samples])
        self.seconds = time.perf_counter() - start

    def probabilities(self, signal):
        """The score of each song in a recording, as one window: ndarray (1, songs), int64."""
        return self.index.scores(signal)[None]

    def logits(self, fragments):
        """Logarithm of the scores in the fragments of a `NoisyFragments`: ndarray (fragments, songs)."""
        # batches as in `predict`, so that the fragments are those of the networks
        batches = fragments.mixes(PREDICTION_BATCH)
        scores = [self.index.scores(signal.numpy()) for signals, _, _ in batches for signal in signals]
        return np.log(np.maximum(scores, 1e-12))

    def evaluate(self, count):
        """The row of the index in the table of `comparison.compare_networks`, for each test: DataFrame.

        Parameters
        ----------
        count : int
            As in `evaluation.evaluate`.
        """
        tests = keep(self.results, "tests-index", self, self.data, count, partial(evaluate, self, self.data, count))
        tests.insert(0, "model", "index")
        return tests.assign(parameters=0, epochs=0, seconds=round(self.seconds, 1))

    def accuracy_by_snr(self, count):
        """`evaluation.accuracy_by_snr` of the index: DataFrame."""
        sounds = self.data.sounds(self.recipe, self.device, test=True)
        compute = partial(accuracy_by_snr, self, sounds, self.data.mix, count)
        return keep(self.results, "noise-index", self, self.data, count, compute)


class EmbeddingRecogniser:
    """Compares the input of a network's last layer for a recording and for fragments of each song.

    The network's classes are not used, so songs outside the training set can be added, and a recording that is near no
    song is of an unknown one. It has the interface of a `Recogniser`; its probabilities are cosines.

    Parameters
    ----------
    recogniser : Recogniser
    data : SongData
        Its songs are the first that a recording is compared with.

    Attributes
    ----------
    names : list of str
    recipe, device
        Of the recogniser.
    """

    def __init__(self, recogniser, data):
        self.recogniser, self.data = recogniser, data
        self.recipe, self.device = recogniser.recipe, recogniser.device
        self.identity = f"embedding of {recogniser.identity}"
        self.names = list(data.names)
        self._network = without_last_layer(recogniser.network)

    def add(self, name, signal):
        """Add a song: nothing is trained.

        Parameters
        ----------
        name : str
        signal : ndarray, shape (samples,), float32
            At the sample rate of the recipe.
        """
        self._references.extend(self._unit(self._embed_songs(replace(self.data, names=[name], songs=[signal]))))
        self.names.append(name)
        self.identity += f" and {name}"

    def probabilities(self, signal):
        """Largest cosine of each window and any fragment of each song: ndarray (windows, songs), float32."""
        return self._cosines(predict(self._network, self.recogniser.windows(signal), self.device))

    def logits(self, fragments):
        """The same for the fragments of a `NoisyFragments`: ndarray (fragments, songs), float32."""
        return self._cosines(predict(self._network, fragments, self.device))

    def _embed_songs(self, data):
        """Embeddings of fragments of each song: ndarray (songs, fragments, numbers)."""
        sounds = data.sounds(self.recipe, self.device)
        fragments = NoisyFragments(sounds, _FRAGMENTS, mix=data.mix, seed=_SEED)
        return predict(self._network, fragments, self.device).reshape(len(data.songs), _FRAGMENTS, -1)

    @cached_property
    def _learned(self):
        return self._embed_songs(self.data)     # when they are needed: they take seconds

    @cached_property
    def _mean(self):
        return self._learned.mean(axis=(0, 1))

    @cached_property
    def _references(self):
        return list(self._unit(self._learned))

    def _cosines(self, embeddings):
        unit = self._unit(embeddings)
        return np.stack([(unit @ song.T).max(axis=1) for song in self._references], axis=1)

    def _unit(self, embeddings):
        """Embeddings of length one, without what those of all songs have in common."""
        centred = embeddings - self._mean
        return centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-9)


def without_last_layer(network):
    """A copy of a network that gives the input of its last dense layer.

    Parameters
    ----------
    network : nn.Module

    Returns
    -------
    nn.Module

    Examples
    --------
    >>> without_last_layer(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))[-1]
    Identity()
    """
    network = copy.deepcopy(network)
    *_, last = (name for name, layer in network.named_modules() if isinstance(layer, nn.Linear))
    parent, _, name = last.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())
    return network
