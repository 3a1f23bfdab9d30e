"""Folds for several labels per recording: every label is spread evenly, groups stay whole.

Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data" (ECML PKDD 2011), with groups in the place
of single examples.
"""

import numpy as np

from ...utils.errors import KitError, listed


def assign(targets, groups, *, folds, seed):
    """Assign every recording to a fold, the groups with the rarest label first.

    Parameters
    ----------
    targets : ndarray, shape (recordings, labels), int
        0 or 1.
    groups : ndarray, shape (recordings,), int
    folds : int
    seed : int
        Of the order of equal groups.

    Returns
    -------
    ndarray, shape (recordings,), int64

    Examples
    --------
    >>> targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> fold = assign(targets, np.arange(4), folds=2, seed=0)
    >>> sorted(fold[:2].tolist()), sorted(fold[2:].tolist())
    ([0, 1], [0, 1])
    """
    _, which = np.unique(groups, return_inverse=True)
    counts = np.zeros((which.max() + 1, targets.shape[1] + 1), np.int64)    # the last column is the size of a group
    np.add.at(counts, which, np.column_stack([targets, np.ones_like(which)]))
    lacking = np.tile(counts.sum(axis=0) / folds, (folds, 1))
    left = (counts > 0).sum(axis=0)     # groups with each label that have no fold yet
    order = np.random.default_rng(seed).permutation(len(counts))
    fold = np.full(len(counts), -1)
    while left.any():
        label = np.where(left > 0, left, len(counts) + 1).argmin()
        rows = order[(fold[order] < 0) & (counts[order, label] > 0)]
        for group in rows[np.argsort(-counts[rows, label], kind="stable")]:
            # the fold that lacks this label most; of equal ones, the smallest
            best = max(range(folds), key=lambda k: (lacking[k, label], lacking[k, -1]))
            fold[group] = best
            lacking[best] -= counts[group]
            left -= counts[group] > 0
    return fold[which]


def make_folds(labels, *, folds, seed):
    """Folds of labelled recordings, in each of which every label has examples.

    Parameters
    ----------
    labels : Labels
    folds, seed : int

    Returns
    -------
    ndarray, shape (recordings,), int64

    Raises
    ------
    KitError
        If there are fewer groups than folds, or a fold has no recording with a label, or with a tag absent.
    """
    if (groups := len(np.unique(labels.groups))) < folds:
        raise KitError(
            f"{labels.table}: {len(labels.paths)} recordings of {groups} groups are too few for {folds} folds that "
            "keep groups together. Choose fewer folds, or give recordings of more groups."
        )
    # the folds need recordings without a tag as much as those with it
    targets = np.hstack([labels.targets, 1 - labels.targets]) if labels.is_tags else labels.targets
    fold = assign(targets, labels.groups, folds=folds, seed=seed)
    for value, targets in ((1, labels.targets), (0, 1 - labels.targets))[: 2 if labels.is_tags else 1]:
        examples = np.array([targets[fold == k].sum(axis=0) for k in range(folds)])
        lacking = [name for name, empty in zip(labels.outputs, (examples == 0).any(axis=0)) if empty]
        if lacking:
            _refuse(labels, lacking, value, targets, folds)
    return fold


def _refuse(labels, lacking, value, targets, folds):
    first = labels.outputs.index(lacking[0])
    groups = len(np.unique(labels.groups[targets[:, first] == 1]))
    what = f"the tag {lacking[0]} is {value} in" if labels.is_tags else f"the class {lacking[0]} is in"
    others = f" (so are {listed(lacking[1:])})" if len(lacking) > 1 else ""
    choose = "--top keeps the most frequent tags, --columns" if labels.is_tags else "--columns"
    raise KitError(
        f"{labels.table}: {what} recordings of {groups} groups only, so one of {folds} folds has no example{others}. "
        f"Choose fewer folds, or leave it out: {choose} names the label columns to keep."
    )
