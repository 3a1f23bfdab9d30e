"""A whole song: voices mixed over the accompaniment."""

import numpy as np
import soxr

from .accompaniment import accompaniment
from .music import CLIP_RATE, PIECE, RATE, Band
from .singing import singing

VOICE_OVER_MUSIC = (1.6, 3.0)   # ratio of root mean squares, 4 to 9.5 dB; it decides how hard the task is


def song(labels, rng):
    """Synthesise a continuous song whose consecutive 3-second pieces have the given labels.

    Parameters
    ----------
    labels : sequence of int
        0 no voice, 1 one male voice, 2 one female voice, 3 more than one voice.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (len(labels) * 132300,)
        At 44.1 kHz, within -1..1.

    Examples
    --------
    >>> song([0, 2], np.random.default_rng(0)).shape
    (264600,)
    """
    spans, band, samples = sections(labels, rng), Band.drawn(rng), len(labels) * PIECE
    music = accompaniment(spans, band, samples, rng)
    sung = singing(spans, band, samples, rng)
    heard = sung != 0
    if heard.any():  # relative to the music under the voices, which is softer than in sections without voice
        sung *= rng.uniform(*VOICE_OVER_MUSIC) * np.std(music[heard]) / np.std(sung[heard])
    mix = music + sung
    mix = np.tanh(mix * (0.25 / np.std(mix)))  # limits the peaks
    # One loudness for the whole song, so that it does not reveal the class of a section.
    mix *= 10 ** (rng.uniform(-22, -12) / 20) / np.std(mix)
    return np.clip(soxr.resample(mix.astype(np.float32), RATE, CLIP_RATE), -0.9, 0.9)


def sections(labels, rng):
    """Runs of equal labels as (start, end, label) in seconds; singers start and stop up to 0.1 s off the cut.

    Examples
    --------
    >>> [(round(end - start), int(label)) for start, end, label in sections([0, 0, 2], np.random.default_rng(0))]
    [(6, 0), (3, 2)]
    """
    labels = np.asarray(labels)
    cuts = np.flatnonzero(np.diff(labels)) + 1
    edges = np.concatenate([[0], 3 * cuts + rng.uniform(-0.1, 0.1, len(cuts)), [3 * len(labels)]])
    return list(zip(edges[:-1], edges[1:], labels[np.concatenate([[0], cuts])]))
