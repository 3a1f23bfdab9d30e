"""The submission CSV, and the sample submission that defines the order of its rows."""

import pandas as pd

from ..utils.storage import write_table
from .labels import read_table, whole_numbers


def write_submission(path, competition, categories):
    """Write the submission: ``id,category``, or ``file,label`` for clips that are not known by their numbers.

    UTF-8 without a byte-order mark, in the order of the sample submission.

    Parameters
    ----------
    path : path-like
    competition : Competition
    categories : sequence of int
        One for each test clip.
    """
    rows = {"id": competition.test_ids, "category": categories}
    if competition.names:
        labels = [competition.classes[category] for category in categories]
        rows = {"file": competition.names["test"], "label": labels}
    write_table(path, pd.DataFrame(rows))


def read_sample_ids(path):
    """Read the ids of a sample submission in the order of its rows, with or without a byte-order mark.

    Returns
    -------
    ndarray, shape (n,), int64
    """
    return whole_numbers(read_table(path, columns=("id",))["id"], path)
