"""Find consecutive clips, train a similarity model on them, and cluster all clips.

No label is used.
"""

import numpy as np
import pandas as pd

from ..utils.progress import say
from .continuation import following
from .likeness import Likeness

VERSION = 2             # of everything that decides which songs are found
FEWEST_PAIRS = 50       # needed to learn a likeness
_FIRST_MARGIN = 0.25    # of continuations accepted by themselves: 99% are true on the demo, whose songs are known
_MARGIN = 0.2           # of continuations that also sound alike
_ROUNDS = 2             # of likeness and continuation
_WEIGHT = 0.03          # of a log-odd beside the score of a continuation
# Log-odds and normalised scores are clipped, because the Gaussians are overconfident; the highest score is that of a
# continuation.
_LOWEST_ODDS, _HIGHEST_ODDS = -40.0, 10.0
_LOWEST, _HIGHEST = -16.0, 8.0
# Lowest mean score between the parts of a song, and of a group. Songs are cut for precision. Groups are cut for recall:
# a group may contain two songs, but hardly ever a part of one.
_SONG_SCORE, _GROUP_SCORE = 2.75, 1.0


def infer(traces):
    """Find the songs.

    Parameters
    ----------
    traces : Traces
        Clips of equal content are of one song, and only the first of them is compared. Silent clips (empty content)
        are songs of their own.

    Returns
    -------
    song : ndarray, shape (clips,), int64
        Numbered in the order of their first clips.
    group : ndarray, shape (clips,), int64
        One song, or several that sound too much alike to be separated. If there are too few clips to learn from, songs
        and groups are chains of continuations, and a line says so.
    follows : ndarray, shape (clips,), int64
        The clip that continues this one; -1 if none is known.
    """
    content, _ = pd.factorize(np.array([content or f"silent {i}" for i, content in enumerate(traces.content)], object))
    first_of = np.unique(content, return_index=True)[1]
    audible = np.flatnonzero([bool(traces.content[i]) for i in first_of])
    clips = first_of[audible]
    first, second, cut = _clusters(traces.of(clips))
    follows = np.full(len(content), -1)
    follows[clips[first]] = clips[second]
    numbers = []
    for score in (_SONG_SCORE, _GROUP_SCORE):
        part = len(clips) + np.arange(len(first_of))    # silent clips keep numbers of their own
        part[audible] = cut(score)
        numbers.append(pd.factorize(part[content])[0])
    return *numbers, follows


def _clusters(traces):
    """The continuations, and a function from a mean score to a cluster number for each clip."""
    from scipy.cluster.hierarchy import fcluster

    first, second = following(traces, margin=_FIRST_MARGIN)
    if len(first) < FEWEST_PAIRS:
        say(f"only {len(first)} pairs of consecutive clips were found; {FEWEST_PAIRS} are needed to train the "
            "similarity model. Songs are chains of consecutive clips.")
        return first, second, lambda score: _chains(len(traces), first, second)
    for _ in range(_ROUNDS):
        likeness = Likeness(traces.sound, first, second)
        first, second = following(
            traces, margin=_MARGIN, weight=_WEIGHT,
            likeness=lambda rows: np.clip(likeness.log_odds(rows), _LOWEST_ODDS, _HIGHEST_ODDS),
        )
    tree = _tree(Likeness(traces.sound, first, second), first, second)
    return first, second, lambda score: fcluster(tree, _HIGHEST - score, "distance")


def _chains(clips, first, second):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    return connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(clips, clips)))[1]


def _tree(likeness, first, second):
    """Average linkage of all clips; the distance of two clusters falls with the mean score between their clips."""
    from scipy.cluster.hierarchy import linkage

    clips = likeness.clips
    # The upper triangle row by row, as scipy takes it: the whole square would need twice the memory.
    distances = np.empty(clips * (clips - 1) // 2)
    earlier, later = np.minimum(first, second), np.maximum(first, second)
    end = 0
    for i in range(clips - 1):
        scores = likeness.scores(slice(i, i + 1))[0]
        scores[later[earlier == i]] = _HIGHEST
        start, end = end, end + clips - 1 - i
        distances[start:end] = _HIGHEST - np.clip(scores[i + 1 :], _LOWEST, _HIGHEST)
    return linkage(distances, "average")
