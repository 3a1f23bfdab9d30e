"""Clips that follow one another: one ends where the other begins.

If two clips are consecutive, linear prediction from the end of the first matches the start of the second.
"""

import numpy as np

_ROWS = 512     # rows of the clip-by-clip table that are computed at once
_FIT = 0.3      # lowest score of a pair (maximum 2), whatever their similarity


def follow_scores(traces, rows):
    """How well each clip continues some others.

    The score is the normalised product 2⟨a, b⟩ / (|a|² + |b|²) of prediction and sound, 1 for equal signals, summed
    over both directions in time.

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
    """Pairs of clips of which the second continues the first: each is the other's best match by a margin.

    Parameters
    ----------
    traces : Traces
    margin : float
        By how much a pair's score must exceed the second-best score of both clips, which counts as at least 0.
    likeness : callable or None
        Takes a slice of rows and returns what is added to the scores.
    weight : float
        Factor of the likeness.

    Returns
    -------
    first, second : ndarray, shape (pairs,), int64
        Clip ``second[k]`` follows ``first[k]``; `first` is ascending.
    """
    clips = len(traces)
    best, value, runner_up, fit = (np.empty(clips, kind) for kind in (np.int64, np.float32, np.float32, np.float32))
    columns = np.full(clips, -1), np.full(clips, -np.inf, np.float32), np.full(clips, -np.inf, np.float32)
    for start in range(0, clips, _ROWS):
        rows = slice(start, min(start + _ROWS, clips))
        fits = follow_scores(traces, rows)
        scores = fits if likeness is None else fits + weight * likeness(rows)
        scores[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -np.inf     # no clip follows itself
        best[rows], value[rows], runner_up[rows] = _two_best(scores)
        fit[rows] = np.take_along_axis(fits, best[rows, None], axis=1)[:, 0]
        _merge(columns, start, _two_best(scores.T))
    is_mutual = columns[0][best] == np.arange(clips)
    is_clear = value - np.maximum(np.maximum(runner_up, columns[2][best]), 0) > margin
    first = np.flatnonzero(is_mutual & is_clear & (fit > _FIT))
    return first, best[first]


def _agreement(one, other):
    energy = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
    return 2 * (one @ other.T) / (energy + 1e-12)


def _two_best(scores):
    """Index and value of the largest score of each row, and the value of the second largest."""
    padded = np.pad(scores, ((0, 0), (1, 0)), constant_values=-np.inf)  # a single column has a second value, too
    return scores.argmax(axis=1), scores.max(axis=1), np.partition(padded, -2, axis=1)[:, -2]


def _merge(columns, start, block):
    """Update the two best scores of each column with those of further rows, in place."""
    index, largest, second = columns
    new_index, new_largest, new_second = block
    second[:] = np.maximum(np.minimum(largest, new_largest), np.maximum(second, new_second))
    is_better = new_largest > largest
    index[is_better] = new_index[is_better] + start
    largest[is_better] = new_largest[is_better]
