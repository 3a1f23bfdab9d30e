"""How good predictions are: accuracy, figures a class, confusion, and accuracy against the number of members.

Where logits and labels come from is not known here.
"""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from ..training.members import average

# Subsets of one size that are looked at, where there are more.
_MOST_SUBSETS = 200
_FEWEST_GROUPS = 5  # of which a bootstrap says anything


def evaluate(logits, labels, *, class_names):
    """Judge averaged logits.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)
    labels : ndarray, shape (clips,), int
    class_names : sequence of str

    Returns
    -------
    dict
        ``clips``; ``accuracy``; ``classes``, a dict a class with precision, recall, f1 and clips; ``confusion``, rows
        are labels and columns predictions.
    """
    predicted = logits.argmax(axis=1)
    numbers = range(len(class_names))
    each = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)
    return {
        "clips": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "classes": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "clips": int(n)}
            for name, p, r, f, n in zip(class_names, *each)
        ],
        "confusion": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }


def accuracy_by_size(logits, labels, *, seed=0):
    """How accuracy grows with the number of members that are averaged.

    Parameters
    ----------
    logits : ndarray, shape (members, clips, classes)
    labels : ndarray, shape (clips,), int
    seed : int
        Of the subsets drawn where there are too many to try them all.

    Returns
    -------
    DataFrame
        Columns ``members``, ``mean``, ``deviation`` (over subsets of that size) and ``subsets``.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for size in range(1, len(logits) + 1):
        accuracies = [
            accuracy_score(labels, average(logits[list(subset)]).argmax(axis=1))
            for subset in _subsets(len(logits), size, generator)
        ]
        rows.append({
            "members": size, "mean": np.mean(accuracies), "deviation": np.std(accuracies), "subsets": len(accuracies),
        })
    return pd.DataFrame(rows)


def interval(values, groups, *, level=0.95, draws=2000, seed=0):
    """Between what a mean over clips lies, as far as the choice of songs goes: a bootstrap over songs.

    What other seeds of the members would change is not in it. Clips of a song are right or wrong together, so a song
    counts as one draw, not each of its clips: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993),
    percentile interval, clusters resampled whole.

    Parameters
    ----------
    values : ndarray, shape (clips,)
        True and False for the interval of an accuracy; the difference of two such for that of a gain.
    groups : ndarray, shape (clips,), int
        Songs, or songs that cannot be told apart.
    level : float
        The share of draws within.
    draws, seed : int

    Returns
    -------
    dict or None
        ``low``, ``high``, ``level`` and ``groups``, their number; None for fewer than five, which say nothing.
    """
    _, which = np.unique(groups, return_inverse=True)
    sums, clips = np.bincount(which, weights=values), np.bincount(which)
    if len(clips) < _FEWEST_GROUPS:
        return None
    times = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    low, high = np.quantile(times @ sums / (times @ clips), [(1 - level) / 2, (1 + level) / 2])
    return {"low": float(low), "high": float(high), "level": level, "groups": len(clips)}


def _subsets(members, size, generator):
    if comb(members, size) <= _MOST_SUBSETS:
        return combinations(range(members), size)
    return (generator.choice(members, size, replace=False) for _ in range(_MOST_SUBSETS))
