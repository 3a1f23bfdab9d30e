"""Evaluation: accuracy with its interval, figures per class, confusion, and the comparison of two runs."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from ..utils.errors import KitError
from .scores import average

_MOST_SUBSETS = 200     # of one size; more are sampled
_FEWEST_GROUPS = 5      # for a bootstrap

_COLUMNS = ("id", "group", "label", "predicted", "split")
# Why two runs cannot be compared if a column of their tables differs.
_DIFFERENCES = {
    "label": "the labels of the two runs differ: they are of different competitions.",
    "split": "one run has split=random and the other split=songs: their accuracies cannot be compared.",
    "group": "the two runs have different groups of songs, so their folds differ. Train both with the same songs.",
}


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

    Examples
    --------
    >>> logits = np.array([[[1.0, 0.0], [3.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]])
    >>> accuracy_by_size(logits, np.array([0, 1]))["mean"].tolist()
    [0.75, 0.5]
    """
    generator = np.random.default_rng(seed)
    rows = []
    for size in range(1, len(logits) + 1):
        if comb(len(logits), size) <= _MOST_SUBSETS:
            subsets = list(combinations(range(len(logits)), size))
        else:
            subsets = [generator.choice(len(logits), size, replace=False) for _ in range(_MOST_SUBSETS)]
        accuracies = [accuracy_score(labels, average(logits[list(subset)]).argmax(axis=1)) for subset in subsets]
        rows.append((size, np.mean(accuracies), np.std(accuracies), len(accuracies)))
    return pd.DataFrame(rows, columns=["members", "mean", "deviation", "subsets"])


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
        Columns ``id``, ``group`` (of songs), ``label``, ``predicted``, ``split`` (of the recipe), and ``probability_0``
        to ``probability_3``, one per class.
    """
    rows = result.valid_clips
    return pd.DataFrame({
        "id": data.train.ids[rows],
        "group": data.songs.group[rows],
        "label": result.valid_labels,
        "predicted": result.valid_scores.argmax(axis=1),
        "split": result.recipe.split,
        **_probabilities(result.valid_scores),
    })


def score_table(result, ids):
    """The probabilities of the test clips, in the order of the submission, for ``test_scores.csv``.

    Parameters
    ----------
    result : Result
    ids : sequence of int
        Of the test clips.

    Returns
    -------
    DataFrame
        Columns ``id`` and ``probability_0`` to ``probability_3``, one per class.
    """
    return pd.DataFrame({"id": ids, **_probabilities(result.test_scores)})


def _probabilities(scores):
    return {f"probability_{label}": column for label, column in enumerate(softmax(scores, axis=1).T)}


def compare_runs(run, baseline):
    """How much more accurate one run is than another, on the clips in the validation sets of both.

    Parameters
    ----------
    run, baseline : DataFrame
        As `out_of_fold_table` gives them.

    Returns
    -------
    dict
        ``clips``, ``accuracy`` of the run, ``baseline`` (accuracy of the other) and ``interval`` of the difference, as
        `interval` returns it; None for random splits, where songs are on both sides.

    Raises
    ------
    KitError
        If no clip is in both, labels or groups of songs differ, or one run has a random split and the other not.
    """
    both = run.merge(baseline, on="id", suffixes=("", "_baseline"))
    if both.empty:
        raise KitError("the two runs have no validation clip in common.")
    for column, sentence in _DIFFERENCES.items():
        if (both[column] != both[f"{column}_baseline"]).any():
            raise KitError(sentence)
    is_right, was_right = (both[name] == both["label"] for name in ("predicted", "predicted_baseline"))
    gain = (is_right.astype(int) - was_right.astype(int)).to_numpy()
    return {
        "clips": len(both),
        "accuracy": float(is_right.mean()),
        "baseline": float(was_right.mean()),
        "interval": None if both["split"][0] == "random" else interval(gain, both["group"].to_numpy()),
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
