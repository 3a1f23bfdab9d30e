"""A smoothed decision every half second while a song is playing, and its delay."""

import time

import numpy as np
import pandas as pd
import soxr

from ...audio import recordings
from ...data.synthesis import CLIP_RATE, song
from ...utils import parameters
from ..cache import cached

STEP = 0.5      # seconds from one decision to the next


class Stream:
    """Takes samples as they arrive and returns decisions.

    Parameters
    ----------
    predict : callable
        From the samples of one window, ndarray (samples,) or (samples, channels), to probabilities, ndarray (classes,).
    sample_rate : int, in Hz
    window : float
        Length of a window in seconds.
    memory : float, 0 to 1
        Weight of the last decision in the next: ``memory · last + (1 - memory) · predicted``.
    """

    def __init__(self, predict, *, sample_rate, window=3.0, memory=0.6):
        self._predict, self._rate, self._memory = predict, sample_rate, memory
        self._size, self._step = round(window * sample_rate), round(STEP * sample_rate)
        self._window = None     # until the first samples show the number of channels
        self._samples, self._probabilities = 0, None

    def push(self, samples):
        """Take more samples.

        Parameters
        ----------
        samples : ndarray, shape (any number,) or (any number, channels), float32

        Returns
        -------
        list of dict
            The decisions that became due: ``seconds`` since the start of the stream, ``probabilities`` (smoothed,
            ndarray (classes,)) and ``milliseconds`` of computation.
        """
        if self._window is None:
            self._window = np.zeros((self._size, *samples.shape[1:]), np.float32)
        decisions = []
        while len(samples):
            part = samples[: self._step - self._samples % self._step]
            samples = samples[len(part) :]
            self._window = np.concatenate([self._window[len(part) :], part])
            self._samples += len(part)
            if self._samples % self._step == 0:
                decisions.append(self._decide())
        return decisions

    def _decide(self):
        start = time.perf_counter()
        predicted = self._predict(self._window)
        last = predicted if self._probabilities is None else self._probabilities
        self._probabilities = self._memory * last + (1 - self._memory) * predicted
        return {
            "seconds": self._samples / self._rate, "probabilities": self._probabilities,
            "milliseconds": 1000 * (time.perf_counter() - start),
        }


def run_stream(signal, stream, *, chunk=1024):
    """Push a recording in chunks, as a sound card delivers it: DataFrame of all decisions, see `Stream.push`.

    Examples
    --------
    >>> stream = Stream(lambda window: np.array([1.0]), sample_rate=100)
    >>> run_stream(np.zeros(120, np.float32), stream)["seconds"].tolist()
    [0.5, 1.0]
    """
    chunks = (signal[start : start + chunk] for start in range(0, len(signal), chunk))
    return pd.DataFrame([decision for samples in chunks for decision in stream.push(samples)])


def keep_stream(folder, source, signal, stream):
    """`run_stream`, whose decisions are kept in a folder; `source` is what they depend on, as in `cache.cached`."""
    def compute():
        return {name: np.stack(list(values)) for name, values in run_stream(signal, stream).items()}

    kept = cached(folder, "stream", source, compute)
    return pd.DataFrame({name: list(values) for name, values in kept.items()})


def measure_delay(*, window=3.0, memory=0.6):
    """Delay of decisions that comes from their window and their memory, whatever the network.

    It is measured with a predictor that returns the shares of two voices in a window, on one voice after the other.

    Parameters
    ----------
    window, memory : float
        As in `Stream`.

    Returns
    -------
    float
        Seconds from a change of voices to the decision for the new one.

    Examples
    --------
    >>> measure_delay(window=3.0, memory=0.0)
    1.5
    """
    rate, before = 100, 20.0
    voices = np.repeat(np.float32([0, 1]), round(before * rate))

    def share(samples):
        return np.array([1 - samples.mean(), samples.mean()])

    stream = Stream(share, sample_rate=rate, window=window, memory=memory)
    decisions = run_stream(voices, stream)
    return float(decisions["seconds"][np.stack(decisions["probabilities"])[:, 1] >= 0.5].min() - before)


def load_recording(path="", *, sample_rate, mono=True):
    """Load a recording to stream.

    Parameters
    ----------
    path : path-like
        Empty: a synthetic song of 30 s, with no voice, a male voice, a female voice, and both.
    sample_rate, mono
        As `Predictor.wanted` says.

    Returns
    -------
    signal : ndarray, shape (samples,) or (samples, channels)
    truth : list of (start, end, class), or None
        Times in seconds, for the synthetic song.
    """
    if path := parameters.path(path):
        return recordings.load(path, sample_rate=sample_rate, mono=mono), None
    classes = [0, 1, 1, 3, 3, 0, 2, 2, 3, 0]
    signal = soxr.resample(song(classes, np.random.default_rng(11)), CLIP_RATE, sample_rate)
    truth = [(3 * i, 3 * i + 3, label) for i, label in enumerate(classes)]
    return (signal if mono else np.stack([signal, signal], axis=1)), truth
