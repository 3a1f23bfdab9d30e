"""A decision every half second while a song goes on, smoothed, and how long it takes to compute."""

import time

import numpy as np
import pandas as pd
import soxr

from ...data.synthesis import CLIP_RATE, song
from .. import sound

STEP = 0.5      # seconds from one decision to the next


class Stream:
    """Takes samples as they come and gives decisions.

    Parameters
    ----------
    probabilities : callable
        ndarray (samples,) of one window to (classes,).
    sample_rate : int, in Hz
    window : float
        Seconds that a decision looks back.
    memory : float, 0 to 1
        How much of the last answer is in the next: ``answer = memory · last + (1 - memory) · new``.
    """

    def __init__(self, probabilities, *, sample_rate, window=3.0, memory=0.6):
        self._probabilities = probabilities
        self._size, self._step = round(window * sample_rate), round(STEP * sample_rate)
        self._heard = None      # until the first samples tell how many channels there are
        self._rate, self._memory = sample_rate, memory
        self._waiting, self._samples, self._answer = 0, 0, None

    def push(self, samples):
        """Hear so many samples more.

        Parameters
        ----------
        samples : ndarray, shape (any number,) or (any number, channels), float32

        Returns
        -------
        list of dict
            The decisions that became due: ``seconds`` (of the stream, at which it is due), ``answer`` (ndarray
            (classes,), smoothed), ``milliseconds`` that it took.
        """
        decisions = []
        if self._heard is None:
            self._heard = np.zeros((self._size, *samples.shape[1:]), np.float32)
        while len(samples):
            part = samples[: self._step - self._waiting]
            samples = samples[len(part) :]
            self._heard = np.concatenate([self._heard[len(part) :], part])
            self._waiting += len(part)
            self._samples += len(part)
            if self._waiting == self._step:
                self._waiting = 0
                decisions.append(self._decision())
        return decisions

    def _decision(self):
        start = time.perf_counter()
        new = self._probabilities(self._heard)
        last = new if self._answer is None else self._answer
        self._answer = self._memory * last + (1 - self._memory) * new
        milliseconds = 1000 * (time.perf_counter() - start)
        return {"seconds": self._samples / self._rate, "answer": self._answer, "milliseconds": milliseconds}


def over(signal, stream, *, chunk=1024):
    """All decisions over a recording, in pieces as a sound card gives them: DataFrame of what `Stream.push` gives."""
    pieces = (signal[start : start + chunk] for start in range(0, len(signal), chunk))
    return pd.DataFrame([decision for piece in pieces for decision in stream.push(piece)])


def lateness(**options):
    """How late decisions are by their window and their memory alone, whatever the network.

    The stream is asked with a network that answers each window by the shares of it that two voices sing, one after the
    other.

    Parameters
    ----------
    **options
        ``window`` and ``memory`` of `Stream`.

    Returns
    -------
    float
        Seconds after the change of voices at which the decision follows.
    """
    rate, before = 100, 20.0
    voices = np.repeat(np.float32([0, 1]), round(before * rate))
    stream = Stream(lambda heard: np.array([1 - heard.mean(), heard.mean()]), sample_rate=rate, **options)
    decisions = over(voices, stream)
    return float(decisions["seconds"][np.stack(decisions["answer"])[:, 1] >= 0.5].min() - before)


def recording(path="", *, sample_rate, mono=True):
    """A song to listen to while it goes on.

    Parameters
    ----------
    path : path-like
        Empty: a synthetic song of 30 s, with a break, a man, a woman, and both.
    sample_rate, mono
        As `who_sings.WhoSings.wanted` says.

    Returns
    -------
    signal : ndarray, shape (samples,) or (samples, channels)
    truth : list of (start, end, class), or None
        What is really heard, in seconds, where that is known.
    """
    if str(path):
        return sound.load(path, sample_rate=sample_rate, mono=mono), None
    pieces = [0, 1, 1, 3, 3, 0, 2, 2, 3, 0]
    signal = soxr.resample(song(pieces, np.random.default_rng(11)), CLIP_RATE, sample_rate)
    truth = [(3 * i, 3 * i + 3, label) for i, label in enumerate(pieces)]
    return (signal if mono else np.stack([signal, signal], axis=1)), truth
