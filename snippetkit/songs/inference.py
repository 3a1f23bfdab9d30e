"""From the traces of all clips to songs: continuations teach a likeness, it finds more of them, both make songs.

Nothing is read or written here, and no label is known.
"""

import numpy as np

from ..utils.progress import say
from .continuation import following
from .likeness import Likeness

VERSION = 2             # of all that decides which songs are found; another one finds others
FEWEST_PAIRS = 50       # that can teach a likeness
_FIRST_MARGIN = 0.25    # of a continuation that is believed for itself: 99% are true on the demo, where songs are known
_MARGIN = 0.2           # of one that sounds alike besides
_ROUNDS = 2             # in which the likeness finds pairs for the next
_WEIGHT = 0.03          # of a log-odd beside the score of a continuation
# Beyond these a log-odd counts no more: its Gaussians are too sure of themselves.
_LOWEST_ODDS, _HIGHEST_ODDS = -40.0, 10.0
# Nor does a normalised score beyond these; the highest is that of a continuation.
_LOWEST, _HIGHEST = -16.0, 8.0
# Mean score between the parts of a song, at least. What is told to be one song is so (precision); what is to be
# told apart when clips are held out must not be one song (recall): a group may hold two songs, never a part of one.
_SONG_SCORE, _GROUP_SCORE = 2.75, 1.0


def infer(traces):
    """Find the songs.

    Parameters
    ----------
    traces : Traces
        Clips of equal content are of one song, and only the first is compared; silent clips (empty content) are songs
        of their own.

    Returns
    -------
    song : ndarray, shape (clips,), int64
        Numbered in the order of their first clips.
    group : ndarray, shape (clips,), int64
        One song, or several that sound too much alike to be told apart for certain. Where there are too few clips to
        learn from, songs and groups are chains of clips that follow one another, which is said aloud.
    follows : ndarray, shape (clips,), int64
        The clip that continues this one; -1 where none is known.
    """
    contents = traces.content
    which = _numbered([content or f"silent {i}" for i, content in enumerate(contents)])
    first_of = np.unique(which, return_index=True)[1]
    heard = np.flatnonzero([bool(contents[i]) for i in first_of])
    clips = first_of[heard]
    first, second, cut = _parts(traces.of(clips))
    follows = np.full(len(which), -1)
    follows[clips[first]] = clips[second]
    found = []
    for score in (_SONG_SCORE, _GROUP_SCORE):
        part = len(clips) + np.arange(len(first_of))    # numbers of their own for the silent ones
        part[heard] = cut(score)
        found.append(_numbered(part[which]))
    return *found, follows


def _parts(traces):
    """The continuations, and what cuts the clips into parts: from mean scores to a number a clip."""
    first, second = following(traces, margin=_FIRST_MARGIN)
    if len(first) < FEWEST_PAIRS:
        say(f"only {len(first)} clips continue another: too few to learn what a song sounds like (that takes "
            f"{FEWEST_PAIRS}), so songs are told by continuation alone, and many of their clips stand alone")
        return first, second, lambda score: _chains(len(traces), first, second)
    for _ in range(_ROUNDS):
        likeness = Likeness(traces.sound, first, second)
        first, second = following(
            traces, margin=_MARGIN, weight=_WEIGHT,
            likeness=lambda rows: np.clip(likeness.log_odds(rows), _LOWEST_ODDS, _HIGHEST_ODDS),
        )
    tree = _tree(Likeness(traces.sound, first, second), first, second)
    return first, second, lambda score: _cut(tree, score)


def _chains(clips, first, second):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    return connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(clips, clips)))[1]


def _tree(likeness, first, second):
    """Average linkage of all clips: two clusters are as near as the mean score between their clips is high."""
    from scipy.cluster.hierarchy import linkage

    clips = likeness.clips
    # The upper triangle row by row, as scipy takes it: the whole square of 14,000 clips would be twice the memory.
    distances = np.empty(clips * (clips - 1) // 2)
    earlier, later = np.minimum(first, second), np.maximum(first, second)
    end = 0
    for i in range(clips - 1):
        scores = likeness.scores(slice(i, i + 1))[0]
        scores[later[earlier == i]] = _HIGHEST
        start, end = end, end + clips - 1 - i
        distances[start:end] = _HIGHEST - np.clip(scores[i + 1 :], _LOWEST, _HIGHEST)
    return linkage(distances, "average")


def _cut(tree, score):
    from scipy.cluster.hierarchy import fcluster

    return fcluster(tree, _HIGHEST - score, "distance")


def _numbered(values):
    """Equal values as equal numbers, in the order in which they first occur."""
    _, first, which = np.unique(values, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[which]
