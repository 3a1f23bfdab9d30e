"""Label files in three formats (text, .npz and CSV), and CSV tables of ids."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed, report_os_error
from ..utils.storage import replacing

CLASSES = ("no voice", "one male voice", "one female voice", "more than one voice")

LABEL_SUFFIXES = (".txt", ".npz", ".csv")


def read_labels(path, *, classes=len(CLASSES)):
    """Read labels from text (one per line), ``.npz`` (key ``labels``) or CSV (``id,category``, in any order).

    Parameters
    ----------
    path : path-like
    classes : int
        Valid labels are ``0 … classes - 1``.

    Returns
    -------
    ndarray, shape (n,), int64
        Entry i belongs to clip i.

    Raises
    ------
    KitError
        If the file cannot be read, a label is not a number or out of range, or an id is missing or occurs twice.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in LABEL_SUFFIXES:
        raise KitError(f"{path} is not a label file. Give a file that ends in {', '.join(LABEL_SUFFIXES)}.")
    with report_os_error(f"{path} cannot be read"):
        labels = {".txt": _text_labels, ".npz": _npz_labels, ".csv": _csv_labels}[suffix](path)
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise KitError(f"{path}: the label {labels[outside[0]]} of clip {outside[0]} is not in 0–{classes - 1}.")
    return labels


def write_labels(path, labels):
    """Write labels as ``.npz`` with the key ``labels``, the format that the published solution reads.

    Parameters
    ----------
    path : path-like, ending in ``.npz``
    labels : ndarray, shape (n,), int
    """
    if Path(path).suffix != ".npz":
        raise KitError(f"{path} must end in .npz.")
    with replacing(path) as temporary:
        np.savez(temporary, labels=labels)


def read_consistent(paths, read, problem):
    """Read the content that all of these files must share; None if there are no files."""
    contents = [read(path) for path in paths]
    for path, content in zip(paths, contents):
        if not np.array_equal(content, contents[0]):
            raise KitError(f"{paths[0]} and {path} {problem}. Remove the wrong one.")
    return contents[0] if contents else None


def _text_labels(path):
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise KitError(f"{path} is not UTF-8 text. Save it as UTF-8.") from error
    return whole_numbers(pd.Series(lines, index=range(len(lines)), dtype=str), path, first_line=1)


def _npz_labels(path):
    labels = read_npz(path, "labels")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise KitError(f"{path} holds {labels.dtype} labels of shape {labels.shape}, not one row of whole numbers.")
    return labels.astype(np.int64)


def _csv_labels(path):
    table = read_table(path, columns=("id", "category"))
    ids = whole_numbers(table["id"], path)
    if not np.array_equal(np.sort(ids), np.arange(len(ids))):
        raise KitError(f"{path} must list every id from 0 to {len(ids) - 1} once.")
    return whole_numbers(table["category"], path)[np.argsort(ids)]


def read_npz(path, key):
    """Read an array from an ``.npz`` file. Python objects are refused, because reading them would run code."""
    try:
        with report_os_error(f"{path} cannot be read"), open(path, "rb") as file, np.load(file) as archive:
            return archive[key]
    except KeyError:
        raise KitError(f"{path} has no key {key!r}.") from None
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise KitError(f"{path} is not a readable .npz file ({error}).") from error


def read_table(path, *, columns):
    """Read a CSV as a DataFrame of str, with or without a byte-order mark; it must have these columns."""
    try:
        with report_os_error(f"{path} cannot be read"):
            table = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    except ValueError as error:     # pandas raises it for a damaged or empty CSV, too
        raise KitError(f"{path} is not a readable CSV file ({error}).") from error
    if missing := [name for name in columns if name not in table]:
        raise KitError(f"{path} has no column {listed(missing)}. Its first line is {','.join(table.columns)!r}.")
    return table


def whole_numbers(texts, path, *, first_line=2):
    """Convert a column of text to int64; the error names the line of the first entry that is not a whole number.

    Examples
    --------
    >>> whole_numbers(pd.Series(["3", " -1"]), "label.csv")
    array([ 3, -1])
    """
    stripped = texts.str.strip()
    wrong = stripped[~stripped.str.fullmatch(r"-?\d{1,18}")]
    if len(wrong):
        line = wrong.index[0] + first_line
        raise KitError(f"line {line} of {path} has {wrong.iloc[0]!r} where a whole number belongs.")
    return stripped.astype(np.int64).to_numpy()
