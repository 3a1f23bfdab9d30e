"""A fingerprint index in the tests of the networks: the same songs, fragments and recordings."""

import time

import numpy as np
import pandas as pd

from ...training.epoch import PREDICTION_BATCH
from ...utils.errors import KitError
from ...utils.hardware import Device
from .evaluation import accuracy_by_snr, evaluate
from .index import SAMPLE_RATE, FingerprintIndex

_CPU = Device("cpu", "CPU", "fp32")


class IndexRecogniser:
    """An index with the interface that `evaluation` expects of a `Recogniser`. Its probabilities are scores.

    Parameters
    ----------
    data : SongData
    recipe : Recipe
        Of the networks with which the index is compared.

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

    def __init__(self, data, recipe):
        if recipe.sample_rate != SAMPLE_RATE:
            raise KitError(f"the index needs a sample rate of {SAMPLE_RATE} Hz, not {recipe.sample_rate}.")
        self.data, self.recipe, self.device, self.index = data, recipe, _CPU, FingerprintIndex()
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
        costs = {"parameters": 0, "epochs": 0, "seconds": round(self.seconds, 1)}
        tests = evaluate(self, self.data, count).items()
        return pd.DataFrame({"model": "index", "test": test, **metrics, **costs} for test, metrics in tests)

    def accuracy_by_snr(self, count):
        """`evaluation.accuracy_by_snr` of the index: DataFrame."""
        sounds = self.data.sounds(self.recipe, self.device, test=True)
        return accuracy_by_snr(self, sounds, self.data.mix, count)
