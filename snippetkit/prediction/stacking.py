"""Combine kinds of members by a weight for each, fitted to their out-of-fold scores.

Wolpert, "Stacked generalization" (1992), with log-linear pooling as the combination: see `training.pooling`.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..recipe import NETWORKS
from ..songs import folds
from ..training.members import finished_kinds, kind_folder
from ..training.pooling import fit_weights, pool
from ..utils.errors import KitError, listed
from .scores import average, collect, together

_SPLIT = ("split", "folds", "split_seed", "valid_fraction")     # fields of a recipe


@dataclass(frozen=True)
class Stack:
    """The combination of several kinds.

    Attributes
    ----------
    valid_scores : ndarray, shape (validation clips, classes)
        Logits; those of a fold are weighted by weights that were fitted to the other folds.
    test_scores : ndarray, shape (test clips, classes)
        By weights that were fitted to all validation clips.
    kinds : list of dict
        For the report: ``kind``, ``members``, its ``weight``, its own ``accuracy``, and the accuracy of the others
        ``without`` it.
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
        Its folds of songs are those that the weights are fitted to, too.

    Returns
    -------
    Result
        With a Stack if there are several kinds.

    Raises
    ------
    KitError
        If no clip is in the validation sets of all kinds, or they have different splits.
    """
    first, *others = results.values()
    joint = together(first, others)
    if not others:
        return joint
    splits = {name: [getattr(result.recipe, field) for field in _SPLIT] for name, result in results.items()}
    if others := [name for name in splits if splits[name] != next(iter(splits.values()))]:
        raise KitError(f"the members of {listed(others)} have another split, so they cannot be combined with the rest.")
    valid = {name: average(result.valid_logits[:, np.isin(result.valid_clips, joint.valid_clips)])
             for name, result in results.items()}
    labels, fold = joint.valid_labels, _folds(joint, data)
    weights = fit_weights(valid.values(), labels)

    def accuracy(logits):
        return float((logits.argmax(axis=1) == labels).mean())

    kinds = [
        {
            "kind": name, "members": len(results[name].members), "weight": float(weight), "accuracy": accuracy(logits),
            "without": accuracy(_out_of_fold([valid[other] for other in valid if other != name], labels, fold)),
        }
        for (name, logits), weight in zip(valid.items(), weights)
    ]
    stack = Stack(
        valid_scores=_out_of_fold(valid.values(), labels, fold),
        test_scores=pool([average(result.test_logits) for result in results.values()], weights),
        kinds=kinds, mean=accuracy(sum(valid.values())),
    )
    return replace(joint, beside=(), stack=stack)


def _out_of_fold(logits, labels, fold):
    """Pooled scores of each fold, with weights that were fitted to the other folds."""
    logits = list(logits)
    scores = np.empty(logits[0].shape)
    for number in np.unique(fold):
        inside = fold != number
        weights = fit_weights([values[inside] for values in logits], labels[inside])
        scores[~inside] = pool([values[~inside] for values in logits], weights)
    return scores


def _folds(result, data):
    """Folds for fitting the weights: those of the members if the clips are of several, else cut from the clips."""
    fold = data.songs.fold[result.valid_clips]
    if result.recipe.split == "songs" and len(np.unique(fold)) > 1:
        return fold
    return folds.inner_folds(data, result.recipe, result.valid_clips)
