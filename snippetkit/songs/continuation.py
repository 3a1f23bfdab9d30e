"""Clips that follow one another: where one ends as another begins.

A cut through a song leaves no trace in either clip but this: what the samples before it predict is what comes after.
"""

import numpy as np

_ROWS = 512     # of the table of all against all that are looked at at once
_FITS = 0.3     # the score, of at most 2, from which a prediction fits at all: however alike, two clips need it


def follow_scores(traces, rows):
    """How well each clip continues some others.

    The score is the normalised product 2⟨a, b⟩ / (|a|² + |b|²), 1 for equal signals, of prediction and sound, added up
    over the two directions in time.

    Parameters
    ----------
    traces : Traces
    rows : slice

    Returns
    -------
    ndarray, shape (rows, clips), float32
        Entry (i, j), from -2 to 2: that clip j follows clip i.
    """
    return _agreement(traces.onward[rows], traces.head) + _agreement(traces.tail[rows], traces.backward)


def following(traces, *, margin, likeness=None, weight=0.0):
    """Pairs of clips of which the second continues the first: each the other's best, and by far.

    Parameters
    ----------
    traces : Traces
    margin : float
        By how much a pair's score must exceed the second best of both clips, which counts as 0 at least.
    likeness : callable or None
        Takes a slice and gives what is to be added to the scores' rows.
    weight : float
        What the likeness is multiplied with.

    Returns
    -------
    first, second : ndarray, shape (pairs,), int64
        The clip ``second[k]`` follows ``first[k]``; `first` ascends.
    """
    clips = len(traces)
    if clips < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    best, value, runner_up, fit = (np.empty(clips, kind) for kind in (np.int64, np.float32, np.float32, np.float32))
    column = np.full(clips, -1), np.full(clips, -np.inf, np.float32), np.full(clips, -np.inf, np.float32)
    for start in range(0, clips, _ROWS):
        rows = slice(start, min(start + _ROWS, clips))
        fits = follow_scores(traces, rows)
        scores = fits if likeness is None else fits + weight * likeness(rows)
        scores[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -np.inf  # no clip follows itself
        best[rows], value[rows], runner_up[rows] = _two_best(scores)
        fit[rows] = np.take_along_axis(fits, best[rows, None], axis=1)[:, 0]
        _merge(column, start, _two_best(scores.T))
    is_mutual = column[0][best] == np.arange(clips)
    is_clear = value - np.maximum(np.maximum(runner_up, column[2][best]), 0) > margin
    first = np.flatnonzero(is_mutual & is_clear & (fit > _FITS))
    return first, best[first]


def _agreement(ours, theirs):
    energy = np.square(ours).sum(axis=1)[:, None] + np.square(theirs).sum(axis=1)
    return 2 * (ours @ theirs.T) / (energy + 1e-12)


def _two_best(scores):
    """Place and value of the largest of each row, and the value of the second largest."""
    place = scores.argmax(axis=1)
    largest = np.take_along_axis(scores, place[:, None], axis=1)[:, 0]
    if scores.shape[1] == 1:
        return place, largest, np.full_like(largest, -np.inf)
    return place, largest, np.partition(scores, -2, axis=1)[:, -2]


def _merge(so_far, start, block):
    """Take the two best of some more rows into those of all rows before them."""
    place, largest, second = so_far
    new_place, new_largest, new_second = block
    second[:] = np.maximum(np.minimum(largest, new_largest), np.maximum(second, new_second))
    is_better = new_largest > largest
    place[is_better] = new_place[is_better] + start
    largest[is_better] = new_largest[is_better]
