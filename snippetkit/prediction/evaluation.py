"""How good predictions are: accuracy, figures a class, confusion, and accuracy against the number of members.

Where logits and labels come from is not known here.
"""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from ..utils.errors import KitError
from .scores import average

# Subsets of one size that are looked at, where there are more.
_MOST_SUBSETS = 200
_FEWEST_GROUPS = 5  # of which a bootstrap says anything

_COLUMNS = ("id", "group", "label", "predicted", "split")


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


def out_of_fold_table(result, data):
    """What was said of every train clip that was held out.

    Parameters
    ----------
    result : Result
    data : TrainingData

    Returns
    -------
    DataFrame
        Columns ``id``, ``group`` (of songs), ``label``, ``predicted`` and ``split``, the same in every row.
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
    """How much more accurate one run is than another on the clips that both held out.

    Parameters
    ----------
    ours, theirs : DataFrame
        As `out_of_fold_table` gives them.

    Returns
    -------
    dict
        ``clips``, ``ours``, ``theirs`` (accuracies) and ``interval`` of the difference, over songs; see
        `interval`. None where clips were held out at random: the members had heard the songs.

    Raises
    ------
    KitError
        If no clip is in both, one has another label or group of songs there, or one run held its clips out at random
        and the other by songs.
    """
    both = ours.merge(theirs, on="id", suffixes=("", "_there"))
    if both.empty:
        raise KitError("the two runs held out no clip in common.")
    if (both["label"] != both["label_there"]).any():
        raise KitError("the labels of the two runs differ; they are not of the same competition.")
    if (both["split"] != both["split_there"]).any():
        raise KitError(
            "one of the runs held its clips out at random, so that its members had heard their songs, and the other "
            "by songs; their accuracies cannot be compared."
        )
    if (both["group"] != both["group_there"]).any():
        raise KitError(
            "the two runs know other groups of songs, so what the one kept apart the other may have heard; "
            "train both with the same songs."
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
    """The table that a finished run left in its work folder.

    Raises
    ------
    KitError
        If there is none, or it lacks a column.
    """
    path = Path(folder) / "held_out.csv"
    try:
        return pd.read_csv(path)[list(_COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"{path} cannot be read ({error}); run 04_predict there first.") from error


def _subsets(members, size, generator):
    if comb(members, size) <= _MOST_SUBSETS:
        return combinations(range(members), size)
    return (generator.choice(members, size, replace=False) for _ in range(_MOST_SUBSETS))
