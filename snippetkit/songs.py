"""Which clips a member trains on and which are held out.

Only the published random split so far: pieces of one song stand on both sides of it, so it flatters.
"""

import numpy as np
from sklearn.model_selection import train_test_split

from .errors import KitError


def split(labels, recipe):
    """Rows to train on and rows to validate on.

    Parameters
    ----------
    labels : ndarray, shape (n,), int
    recipe : Recipe
        ``split``, ``valid_fraction``, ``split_seed``.

    Returns
    -------
    train, valid : ndarray, int64
        Ascending.

    Raises
    ------
    KitError
        If there are too few clips for a side.
    """
    try:
        train, valid = train_test_split(
            np.arange(len(labels)), test_size=recipe.valid_fraction, random_state=recipe.split_seed
        )
    except ValueError as error:
        raise KitError(f"{len(labels)} labelled clips are too few to hold some out ({error}).") from error
    return np.sort(train), np.sort(valid)
