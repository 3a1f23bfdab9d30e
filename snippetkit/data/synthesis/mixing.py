"""A whole song: which part of it is sung by whom, and the voices laid over the music."""

import numpy as np
import soxr

from .accompaniment import accompaniment
from .music import CLIP_RATE, PIECE, RATE, Band
from .singing import singing

VOICE_OVER_MUSIC = (1.6, 3.0)   # ratio of root mean squares, 4 to 9.5 dB: what makes the task hard or easy

def song(labels, rng):
    """A continuous song whose consecutive 3-second pieces have the given labels.

    Parameters
    ----------
    labels : sequence of int
        0 no voice, 1 one male voice, 2 one female voice, 3 more than one voice.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (len(labels) * 132300,), at 44.1 kHz, within -1..1
    """
    spans, band, samples = sections(labels, rng), Band.drawn(rng), len(labels) * PIECE
    music = accompaniment(spans, band, samples, rng)
    sung = singing(spans, band, samples, rng)
    heard = sung != 0
    if heard.any():  # set against the music under the voices, which is softer than in the breaks
        sung *= rng.uniform(*VOICE_OVER_MUSIC) * np.std(music[heard]) / np.std(sung[heard])
    mix = music + sung
    mix = np.tanh(mix * (0.25 / np.std(mix)))  # what a limiter does to peaks
    # The loudness is the song's, not a section's: it tells no class.
    mix *= 10 ** (rng.uniform(-22, -12) / 20) / np.std(mix)
    return np.clip(soxr.resample(mix.astype(np.float32), RATE, CLIP_RATE), -0.9, 0.9)


def sections(labels, rng):
    """Runs of equal labels as (start, end, label) in seconds; a singer may come in or stop 0.1 s off the cut."""
    labels = np.asarray(labels)
    cuts = np.flatnonzero(np.diff(labels)) + 1
    edges = np.concatenate([[0], 3 * cuts + rng.uniform(-0.1, 0.1, len(cuts)), [3 * len(labels)]])
    return list(zip(edges[:-1], edges[1:], labels[np.concatenate([[0], cuts])]))
