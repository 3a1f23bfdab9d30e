"""Which clips a member trains on and which are held out: at random as published, or whole groups of songs at once.

Whether the groups are right is not known here, only that no fold breaks one.
"""

import math
import warnings

import numpy as np

from ..utils.errors import KitError, listed

# Said wherever clips were held out at random.
FLATTERS = (
    "pieces of the songs held out were trained on, so the validation accuracy may flatter by several points; "
    "split=songs keeps songs apart."
)


def assign(labels, group, *, folds, seed):
    """Give every clip the fold in which it is held out; classes are spread evenly, groups stay whole.

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
        All -1 where there are fewer groups than folds, or fewer clips of every class.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.full(len(labels), -1)
    if min(len(np.unique(group)), np.bincount(labels).max()) < folds:
        return fold
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer clips than there are folds is missing in some of them; nobody can mend that.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, held_out) in enumerate(splitter.split(labels, labels, group)):
            fold[held_out] = number
    return fold


def require_whole_groups(fold, group):
    """Make sure that no group of songs is on both sides of a fold.

    Parameters
    ----------
    fold, group : ndarray, shape (clips,), int

    Raises
    ------
    KitError
        If one is; the text names groups and folds.
    """
    order = np.lexsort((fold, group))
    torn = (group[order][1:] == group[order][:-1]) & (fold[order][1:] != fold[order][:-1])
    if torn.any():
        groups = np.unique(group[order][1:][torn])
        raise KitError(
            f"the folds leak: clips of group {listed(groups)} are held out in one fold and trained on in it, too. "
            "Delete folds.json beside the features, and run 02_features again."
        )


def split(data, recipe, member):
    """Rows that a member trains on and rows that are held out from it.

    Parameters
    ----------
    data : TrainingData
    recipe : Recipe
        ``split``; with "random" ``valid_fraction`` and ``split_seed``, and all members share their rows; with "songs"
        ``folds``, and member i is kept from fold i modulo folds.
    member : int

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.

    Raises
    ------
    KitError
        If there are too few clips for a side, a group of songs is on both, or the folds are of another number.
    """
    if recipe.split == "random":
        return random_split(len(data.labels), recipe)
    if data.songs is None:
        raise KitError("split=songs needs the songs of the clips, which 02_features finds; these data have none.")
    require_whole_groups(data.songs.fold, data.songs.group)
    is_held_out = data.songs.fold == member % recipe.folds
    made = data.songs.fold.max() + 1
    if made not in (0, recipe.folds):
        raise KitError(
            f"the clips were divided into {made} folds, but the recipe says folds={recipe.folds}; "
            "run 02_features again with this recipe."
        )
    if not is_held_out.any():
        groups = len(np.unique(data.songs.group))
        raise KitError(
            f"{len(data.labels)} labelled clips of {groups} groups of songs are too few for {recipe.folds} folds; "
            f"{'choose fewer (--set folds=2), or ' if groups > 1 else ''}--set split=random."
        )
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def random_split(clips, recipe):
    """The published split, in which pieces of one song stand on both sides.

    The rows are those of scikit-learn's ``train_test_split(test_size=valid_fraction, random_state=split_seed)``, which
    the published solution used; drawn here, since importing that costs every run a second that has nothing to train.

    Parameters
    ----------
    clips : int
    recipe : Recipe

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.
    """
    held_out = math.ceil(recipe.valid_fraction * clips)
    if held_out >= clips:
        raise KitError(f"{clips} labelled clips are too few to hold {recipe.valid_fraction:.0%} of them out.")
    order = np.random.RandomState(recipe.split_seed).permutation(clips)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
