"""The submission CSV, and the sample submission that defines the order of its rows."""

import pandas as pd

from ..utils.storage import write_table
from .labels import read_table, whole_numbers


def write_submission(path, ids, categories):
    """Write ``id,category`` rows in the given order, as UTF-8 without a byte-order mark.

    Parameters
    ----------
    path : path-like
    ids, categories : sequence of int, of the same length
    """
    write_table(path, pd.DataFrame({"id": ids, "category": categories}))


def read_sample_ids(path):
    """Read the ids of a sample submission in the order of its rows, with or without a byte-order mark.

    Returns
    -------
    ndarray, shape (n,), int64
    """
    return whole_numbers(read_table(path, columns=("id",))["id"], path)
