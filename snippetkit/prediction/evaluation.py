"""Evaluation: accuracy with its interval, figures per class, confusion, and the comparison of two runs."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from ..utils.errors import KitError
from .scores import average

_MOST_SUBSETS = 200     # of one size; more are sampled
_FEWEST_GROUPS = 5      # for a bootstrap

_COLUMNS = ("id", "group", "label", "predicted", "split")


def evaluate(logits, labels, *, class_names):
    """Evaluate averaged logits.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)
    labels : ndarray, shape (clips,), int
    class_names : sequence of str

    Returns
    -------
    dict
        ``clips``; ``accuracy``; ``classes``, for each class a dict with precision, recall, f1 and clips;
        ``confusion``, whose rows are labels and columns predictions.
    """
    predicted = logits.argmax(axis=1)
    numbers = range(len(class_names))
    metrics = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)
    return {
        "clips": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "classes": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "clips": int(n)}
            for name, p, r, f, n in zip(class_names, *metrics)
        ],
        "confusion": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }


def accuracy_by_size(logits, labels, *, seed=0):
    """Accuracy against the number of averaged members.

    Parameters
    ----------
    logits : ndarray, shape (members, clips, classes)
    labels : ndarray, shape (clips,), int
    seed : int
        Of the subsets that are sampled if there are too many to try all.

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
    """Confidence interval of a mean over clips, by a bootstrap over songs.

    Clips of a song tend to be right or wrong together, so whole songs are resampled: Efron and Tibshirani, "An
    Introduction to the Bootstrap" (1993), percentile interval. The variation between seeds of members is not included.

    Parameters
    ----------
    values : ndarray, shape (clips,)
        True and False for the interval of an accuracy; the difference of two such arrays for that of a gain.
    groups : ndarray, shape (clips,), int
        Song, or group of songs, of each clip.
    level : float
        Share of the draws inside the interval.
    draws, seed : int

    Returns
    -------
    dict or None
        ``low``, ``high``, ``level`` and ``groups``, their number; None for fewer than five groups.

    Examples
    --------
    >>> interval(np.ones(10), np.arange(10) // 2)
    {'low': 1.0, 'high': 1.0, 'level': 0.95, 'groups': 5}
    """
    _, which = np.unique(groups, return_inverse=True)
    sums, clips = np.bincount(which, weights=values), np.bincount(which)
    if len(clips) < _FEWEST_GROUPS:
        return None
    times = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    low, high = np.quantile(times @ sums / (times @ clips), [(1 - level) / 2, (1 + level) / 2])
    return {"low": float(low), "high": float(high), "level": level, "groups": len(clips)}


def out_of_fold_table(result, data):
    """The out-of-fold prediction of every clip of the validation sets, for ``held_out.csv``.

    Parameters
    ----------
    result : Result
    data : TrainingData

    Returns
    -------
    DataFrame
        Columns ``id``, ``group`` (of songs), ``label``, ``predicted`` and ``split`` (of the recipe).
    """
    rows = result.valid_clips
    return pd.DataFrame({
        "id": data.train.ids[rows],
        "group": data.songs.group[rows],
        "label": result.valid_labels,
        "predicted": result.valid_scores.argmax(axis=1),
        "split": result.recipe.split,
    })


def compare_runs(ours, theirs):
    """How much more accurate one run is than another, on the clips in the validation sets of both.

    Parameters
    ----------
    ours, theirs : DataFrame
        As `out_of_fold_table` gives them.

    Returns
    -------
    dict
        ``clips``, ``ours``, ``theirs`` (accuracies) and ``interval`` of the difference, as `interval` returns it;
        None for random splits, where songs are on both sides.

    Raises
    ------
    KitError
        If no clip is in both, labels or groups of songs differ, or one run has a random split and the other not.
    """
    both = ours.merge(theirs, on="id", suffixes=("", "_there"))
    if both.empty:
        raise KitError("the two runs have no validation clip in common.")
    if (both["label"] != both["label_there"]).any():
        raise KitError("the labels of the two runs differ: they are of different competitions.")
    if (both["split"] != both["split_there"]).any():
        raise KitError(
            "one run has split=random and the other split=songs: their accuracies cannot be compared."
        )
    if (both["group"] != both["group_there"]).any():
        raise KitError(
            "the two runs have different groups of songs, so their folds differ. Train both with the same songs."
        )
    ours_right, theirs_right = (both[name] == both["label"] for name in ("predicted", "predicted_there"))
    gain = (ours_right.astype(int) - theirs_right.astype(int)).to_numpy()
    is_random = (both["split"] == "random").any()
    return {
        "clips": len(both),
        "ours": float(ours_right.mean()),
        "theirs": float(theirs_right.mean()),
        "interval": None if is_random else interval(gain, both["group"].to_numpy()),
    }


def read_out_of_fold(folder):
    """Read ``held_out.csv`` of a finished run.

    Raises
    ------
    KitError
        If there is none, or it lacks a column.
    """
    path = Path(folder) / "held_out.csv"
    try:
        return pd.read_csv(path)[list(_COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"{path} cannot be read ({error}). Run 04_predict there first.") from error


def _subsets(members, size, generator):
    if comb(members, size) <= _MOST_SUBSETS:
        return combinations(range(members), size)
    return (generator.choice(members, size, replace=False) for _ in range(_MOST_SUBSETS))
