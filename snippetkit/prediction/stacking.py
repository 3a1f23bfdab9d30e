"""Combine kinds of members: a logistic regression on the out-of-fold scores of each kind.

Wolpert, "Stacked generalization" (1992). Kinds have scores of different scales, so their plain mean loses accuracy.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_softmax

from ..recipe import NETWORKS
from ..training.members import finished_kinds, kind_folder
from .scores import average, collect, together

_INNER_FOLDS = 5    # of a random split


@dataclass(frozen=True)
class Stack:
    """The combination of several kinds.

    Attributes
    ----------
    valid_scores : ndarray, shape (validation clips, classes)
        Log-probabilities; those of a fold are from a combination that was fitted to the other folds.
    test_scores : ndarray, shape (test clips, classes)
        From a combination that was fitted to all validation clips.
    kinds : list of dict
        For the report: ``kind``, ``members``, its own ``accuracy``, and the accuracy of the others ``without`` it.
    mean : float
        Accuracy of the plain mean of the kinds' logits.
    """

    valid_scores: np.ndarray
    test_scores: np.ndarray
    kinds: list
    mean: float


def collect_kinds(folder, data, *, members=0, neighbours=0.0):
    """Read the logits of all finished kinds of members in a work folder, and combine them.

    Parameters
    ----------
    folder : path-like
        The work folder.
    data : TrainingData
    members : int
        Use only the first so many networks; 0: all finished ones.
    neighbours : float
        As in `scores.collect`.

    Returns
    -------
    Result

    Raises
    ------
    KitError
        As `scores.collect` and `combine`; if nothing is finished.
    """
    kinds = finished_kinds(folder) or {NETWORKS: []}    # which `collect` then refuses
    return combine({
        kind: collect(kind_folder(folder, kind), data, members=members * (kind == NETWORKS), neighbours=neighbours)
        for kind in kinds
    }, data)


def combine(results, data):
    """Combine the results of several kinds of members over the same clips.

    Parameters
    ----------
    results : dict
        Name of each kind to its Result.
    data : TrainingData
        Its folds of songs are those of the regression's cross-validation, too.

    Returns
    -------
    Result
        With a Stack if there are several kinds.

    Raises
    ------
    KitError
        If no clip is in the validation sets of all kinds.
    """
    first, *others = results.values()
    joint = together(first, others)
    if not others:
        return joint
    valid = {name: average(result.valid_logits[:, np.isin(result.valid_clips, joint.valid_clips)])
             for name, result in results.items()}
    test = {name: average(result.test_logits) for name, result in results.items()}
    labels, fold = joint.valid_labels, _folds(joint, data)
    scores = _out_of_fold(valid, labels, fold)

    def accuracy(logits):
        return float((logits.argmax(axis=1) == labels).mean())

    kinds = [
        {
            "kind": name, "members": len(results[name].members), "accuracy": accuracy(logits),
            "without": accuracy(_out_of_fold({other: valid[other] for other in valid if other != name}, labels, fold)),
        }
        for name, logits in valid.items()
    ]
    model = _fitted(_numbers(valid), labels)
    test_scores = _log_probabilities(model, _numbers(test), scores.shape[1])
    stack = Stack(scores, test_scores, kinds, mean=accuracy(sum(valid.values())))
    return replace(joint, beside=(), stack=stack)


def _numbers(logits):
    """The regression's input: the log-probabilities of all kinds side by side."""
    return np.concatenate([log_softmax(values, axis=1) for values in logits.values()], axis=1)


def _out_of_fold(logits, labels, fold):
    numbers, classes = _numbers(logits), next(iter(logits.values())).shape[1]
    scores = np.empty((len(labels), classes))
    for number in np.unique(fold):
        inside = fold != number
        model = _fitted(numbers[inside], labels[inside])
        scores[~inside] = _log_probabilities(model, numbers[~inside], classes)
    return scores


def _fitted(numbers, labels):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)
        return model.fit(numbers, labels)


def _log_probabilities(model, numbers, classes):
    """Also for classes that the regression has not seen: they get the lowest value."""
    scores = np.full((len(numbers), classes), -30.0)
    scores[:, model.classes_] = model.predict_log_proba(numbers)
    return scores


def _folds(result, data):
    if result.recipe.split == "songs":
        return data.songs.fold[result.valid_clips]
    return np.random.default_rng(0).permutation(len(result.valid_clips)) % _INNER_FOLDS
