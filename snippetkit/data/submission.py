"""The submission CSV, and the sample submission that gives its order."""

import pandas as pd

from ..utils.storage import replacing
from .labels import read_table, whole_numbers


def write_submission(path, ids, categories):
    """Write ``id,category`` rows in the order given, as plain UTF-8.

    Parameters
    ----------
    path : path-like
    ids, categories : sequence of int, of one length
    """
    table = pd.DataFrame({"id": ids, "category": categories})
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_sample_ids(path):
    """Read the ids of a sample submission in its order, with or without a byte-order mark.

    Returns
    -------
    ndarray, shape (n,), int64
    """
    return whole_numbers(read_table(path, columns=("id",))["id"], path)
