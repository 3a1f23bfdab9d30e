"""Folds that keep artists apart, and how optimistic random folds would be."""

import numpy as np
import pandas as pd

from ...features.extraction import Features
from ...prediction.scores import average
from ...songs import folds
from ...songs.table import Songs
from ...training.data import TrainingData
from ...utils.artifacts import digest
from ...utils.clock import Clock
from ...utils.errors import KitError
from ..cache import Comparison, checksum
from ..methods import interval_or_nan


def make_training_data(features, labels, groups, *, classes, count=5, seed=8, fold=None):
    """Wrap arrays as the core's training data, with folds that never split a group.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, columns)
    labels : ndarray, shape (clips,), int
    groups : ndarray, shape (clips,), int
        Artist or album of each clip.
    classes, count : int
        Number of genres and of folds.
    seed : int
        Of the folds.
    fold : ndarray, shape (clips,), int, or None
        Fold of each clip; None assigns them.

    Returns
    -------
    TrainingData
        Without test clips.

    Raises
    ------
    KitError
        If there are fewer groups than folds.

    Examples
    --------
    >>> data = make_training_data(np.zeros((6, 1, 2)), [0, 1] * 3, np.repeat([0, 1, 2], 2), classes=2, count=3)
    >>> len(set(zip(data.songs.group, data.songs.fold)))
    3
    """
    if (artists := len(np.unique(groups))) < count:
        raise KitError(
            f"{len(labels)} recordings of {artists} artists are too few for {count} folds that keep artists apart. "
            "Choose fewer folds, or give recordings of more artists."
        )
    clips, labels = len(labels), np.asarray(labels, np.int64)
    name = digest([list(features.shape), checksum(features), labels.tolist()])
    table = pd.DataFrame({
        "split": "train", "id": np.arange(clips), "song": groups, "group": groups, "follows": -1, "level": -20.0,
        "content": [f"{i:012x}" for i in range(clips)],
    })
    if fold is None:
        fold = folds.assign(labels, np.asarray(groups), folds=count, seed=seed)
    return TrainingData(
        train=Features(features, np.arange(clips), f"train {name}"), labels=labels,
        test=Features(features[:0], np.arange(0), f"test {name}"), class_names=tuple(map(str, range(classes))),
        songs=Songs(table, np.asarray(fold, np.int64)),
    )


def compare_splits(folder, methods, numbers, labels, groups, *, recipe, clock=None):
    """Evaluate methods in folds that keep artists apart, and in random folds.

    Parameters
    ----------
    folder : path-like
        As in `cache.Comparison`.
    methods : list of Method
    numbers : ndarray, shape (clips, numbers)
    labels, groups : ndarray, shape (clips,), int
    recipe : Recipe
        Its folds and its seed.
    clock : Clock or None

    Returns
    -------
    DataFrame
        ``method``, ``features``, ``apart`` and ``random`` (accuracies), ``gap`` between them with ``low`` and ``high``
        (95% confidence interval, over artists).
    """
    def predict_correctly(groups):
        """For each method, 1.0 for each clip that is predicted correctly."""
        classes = int(labels.max()) + 1
        data = make_training_data(numbers[:, None], labels, groups, classes=classes, count=recipe.folds)
        evaluations = Comparison(folder, data, recipe, clock or Clock()).evaluate(methods, numbers)
        return [(average(evaluation.result.valid_logits).argmax(axis=1) == labels).astype(float)
                for evaluation in evaluations]

    correct = predict_correctly(groups), predict_correctly(np.arange(len(labels)))
    return pd.DataFrame({
        "method": method.name, "features": method.features, "apart": apart.mean(), "random": random.mean(),
        "gap": (random - apart).mean(), **interval_or_nan(random - apart, groups),
    } for method, apart, random in zip(methods, *correct))
