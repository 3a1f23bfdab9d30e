"""From the traces of all clips to songs: continuations teach a likeness, it finds more of them, both make songs.

Nothing is read or written here, and no label is known.
"""

import numpy as np

from ..progress import say
from .continuation import following
from .likeness import Likeness

VERSION = 1             # of everything below that changes which songs are found
FEWEST_PAIRS = 50       # that can teach a likeness
_FIRST_MARGIN = 0.25    # of a continuation that is believed for itself: 99% are true on the demo, where songs are known
_MARGIN = 0.2           # of one that sounds alike besides
_ROUNDS = 2             # in which the likeness finds pairs for the next
_WEIGHT = 0.03          # of a log-odd beside the score of a continuation
_ODDS = (-40, 10)       # beyond which a log-odd counts no more: its Gaussians are too sure of themselves
_PAIR_ODDS = 20.0       # of a continuation
# Mean log-odds between the parts of a song, at least. What is told to be one song is so (precision); what is to be
# told apart when clips are held out must not be one song (recall): a group may hold two songs, never a part of one.
_SONG_ODDS, _GROUP_ODDS = 10.0, -5.0
_HIGHEST = 40.0


def infer(traces, contents):
    """Find the songs.

    Parameters
    ----------
    traces : Traces
    contents : sequence of str, one a clip
        Clips with equal ones hold the same samples: they are of one song, and only the first is looked at.

    Returns
    -------
    song : ndarray, shape (clips,), int64
        Numbered in the order of their first clips.
    group : ndarray, shape (clips,), int64
        Songs that sound too much alike to be told apart for certain; every song lies in one group.
        Where there are too few clips to learn from, both are chains of clips that follow one another, which is said
        aloud.
    """
    which = _numbered(contents)
    first_of = np.unique(which, return_index=True)[1]
    different = type(traces)(*(getattr(traces, name)[first_of] for name in traces.__dataclass_fields__))
    first, second = following(different, margin=_FIRST_MARGIN)
    if len(first) < FEWEST_PAIRS:
        say(f"only {len(first)} clips continue another: too few to learn what a song sounds like (that takes "
            f"{FEWEST_PAIRS}), so songs are told by continuation alone, and many of their clips stand alone")
        song = _numbered(_chains(len(first_of), first, second)[which])
        return song, song
    for _ in range(_ROUNDS):
        likeness = Likeness(different.sound, first, second)
        first, second = following(
            different, margin=_MARGIN, likeness=lambda rows: np.clip(likeness.log_odds(rows), *_ODDS), weight=_WEIGHT,
        )
    tree = _tree(Likeness(different.sound, first, second), first, second)
    return tuple(_numbered(_cut(tree, odds)[which]) for odds in (_SONG_ODDS, _GROUP_ODDS))


def _chains(clips, first, second):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    return connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(clips, clips)))[1]


def _tree(likeness, first, second):
    """Average linkage of all clips: two clusters are as near as the mean log-odds between their clips are high."""
    from scipy.cluster.hierarchy import linkage

    clips = len(likeness.log_odds(slice(0, 1))[0])
    follows = {}
    for one, other in zip(first.tolist(), second.tolist()):
        follows.setdefault(min(one, other), []).append(max(one, other))
    # The upper triangle row by row, as scipy takes it: the whole square of 14,000 clips would be twice the memory.
    distances = np.empty(clips * (clips - 1) // 2)
    end = 0
    for i in range(clips - 1):
        odds = likeness.log_odds(slice(i, i + 1))[0]
        neighbours = follows.get(i, [])
        odds[neighbours] = np.maximum(odds[neighbours], _PAIR_ODDS)
        start, end = end, end + clips - 1 - i
        distances[start:end] = _HIGHEST - np.minimum(odds[i + 1 :], _HIGHEST)
    return linkage(distances, "average")


def _cut(tree, odds):
    from scipy.cluster.hierarchy import fcluster

    return fcluster(tree, _HIGHEST - odds, "distance")


def _numbered(clusters):
    """The same clusters, numbered in the order in which they first occur."""
    _, first, which = np.unique(clusters, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[which]
