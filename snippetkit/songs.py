"""Which clips a member trains on and which are held out.

Only the published random split so far: pieces of one song stand on both sides of it, so it flatters.
"""

import math

import numpy as np

from .errors import KitError


def split(labels, recipe):
    """Rows to train on and rows to validate on, at random.

    The rows are those of scikit-learn's ``train_test_split(test_size=valid_fraction, random_state=split_seed)``, which
    the published solution used; drawn here, since importing that costs every run a second that has nothing to train.

    Parameters
    ----------
    labels : ndarray, shape (n,), int
    recipe : Recipe
        ``valid_fraction``, ``split_seed``.

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.

    Raises
    ------
    KitError
        If there are too few clips for a side.
    """
    held_out = math.ceil(recipe.valid_fraction * len(labels))
    if held_out >= len(labels):
        raise KitError(f"{len(labels)} labelled clips are too few to hold {recipe.valid_fraction:.0%} of them out.")
    order = np.random.RandomState(recipe.split_seed).permutation(len(labels))
    return np.sort(order[held_out:]), np.sort(order[:held_out])
