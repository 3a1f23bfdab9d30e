"""Training and validation sets of a member: a random split as published, or folds that never split a group of songs."""

import math
import warnings

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed

# The caveat of every random split.
FLATTERS = (
    "the training set contains pieces of the songs in the validation set, so the validation accuracy may be too high "
    "by several points; split=songs keeps songs apart."
)


def assign(labels, group, *, folds, seed):
    """Assign every clip to a fold; classes are spread evenly, groups stay whole.

    Scikit-learn's ``StratifiedGroupKFold``.

    Parameters
    ----------
    labels : ndarray, shape (clips,), int
    group : ndarray, shape (clips,), int
    folds : int
    seed : int

    Returns
    -------
    ndarray, shape (clips,), int64
        All -1 if there are fewer groups than folds, or if every class has fewer clips than there are folds.

    Examples
    --------
    >>> assign(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), folds=2, seed=0).tolist()
    [1, 1, 0, 0]
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.full(len(labels), -1)
    if min(len(np.unique(group)), np.bincount(labels).max()) < folds:
        return fold
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer clips than folds is missing in some folds, which cannot be avoided.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, valid) in enumerate(splitter.split(labels, labels, group)):
            fold[valid] = number
    return fold


def require_whole_groups(fold, group):
    """Refuse folds that split a group of songs.

    Parameters
    ----------
    fold, group : ndarray, shape (clips,), int

    Raises
    ------
    KitError
        If a group is in two folds; the message names it.
    """
    is_torn = pd.Series(fold).groupby(group).nunique() > 1
    if is_torn.any():
        groups, advice = is_torn.index[is_torn], "Delete folds.json beside the features, and run 02_features again."
        raise KitError(f"the folds leak: group {listed(groups)} is in more than one fold. {advice}")


def require_clips(labels, recipe):
    """Refuse labels that are too few for the folds of a recipe, whatever the songs are.

    Raises
    ------
    KitError
    """
    most = np.bincount(labels).max()
    if recipe.split == "songs" and most < recipe.folds:
        raise KitError(
            f"the largest class has {most} clips, too few for {recipe.folds} folds. "
            f"{f'Choose fewer (--set folds={most}), or use ' if most > 1 else 'Use '}--set split=random."
        )


def split(data, recipe, member):
    """Rows of the training set and of the validation set of a member.

    Parameters
    ----------
    data : TrainingData
    recipe : Recipe
        With ``split="random"`` all members share one split, made from ``valid_fraction`` and ``split_seed``. With
        ``split="songs"`` member i validates on fold i modulo ``folds``.
    member : int

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.

    Raises
    ------
    KitError
        If there are too few clips, a group of songs is in two folds, or the number of folds differs from the recipe's.
    """
    if recipe.split == "random":
        return random_split(len(data.labels), recipe)
    if data.songs is None:
        raise KitError("split=songs needs the songs of the clips, which 02_features finds, but these data have none.")
    fold, group = data.songs.fold, data.songs.group
    require_whole_groups(fold, group)
    if (folds := fold.max() + 1) not in (0, recipe.folds):
        raise KitError(f"there are {folds} folds, but the recipe says folds={recipe.folds}. Run 02_features again.")
    is_valid = fold == member % recipe.folds
    if not is_valid.any():
        groups = len(np.unique(group))
        raise KitError(
            f"{len(data.labels)} labelled clips of {groups} groups of songs are too few for {recipe.folds} folds. "
            f"{'Choose fewer (--set folds=2), or use ' if groups > 1 else 'Use '}--set split=random."
        )
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)


def inner_folds(data, recipe, rows, *, count=4):
    """Cut a part of the train clips into folds, which keep songs together if the recipe's split does.

    Parameters
    ----------
    data : TrainingData
    recipe : Recipe
    rows : ndarray of int
        Of the train clips.
    count : int

    Returns
    -------
    ndarray, shape (rows,), int64
        Number of the fold of each; in turn if there are too few songs.
    """
    if recipe.split == "songs":
        fold = assign(data.labels[rows], data.songs.group[rows], folds=count, seed=recipe.split_seed)
        if fold.min() >= 0:
            return fold
    return np.arange(len(rows)) % count


def random_split(clips, recipe):
    """The published split, which puts pieces of one song on both sides.

    The rows equal those of scikit-learn's ``train_test_split(test_size=valid_fraction, random_state=split_seed)``,
    which the published solution used. They are drawn here because importing scikit-learn takes a second.

    Parameters
    ----------
    clips : int
    recipe : Recipe

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.
    """
    valid = math.ceil(recipe.valid_fraction * clips)
    if valid >= clips:
        raise KitError(f"{clips} labelled clips are too few for a validation set of {recipe.valid_fraction:.0%}.")
    order = np.random.RandomState(recipe.split_seed).permutation(clips)
    return np.sort(order[valid:]), np.sort(order[:valid])
