"""Label files in three formats (text, .npz and CSV), and CSV tables of ids."""

import csv
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
    return whole_numbers(pd.Series(lines, index=range(1, len(lines) + 1), dtype=str), path)


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
    with report_os_error(f"{path} cannot be read"), open(path, "rb") as file:
        try:
            archive = np.load(file)
            if isinstance(archive, np.ndarray):
                raise ValueError("it is one array, as np.save writes it; use np.savez")
            if key not in archive:
                raise KitError(f"{path} has no key {key!r}. It has {listed(archive) or 'none'}.")
            if not isinstance(values := archive[key], np.ndarray):
                raise ValueError(f"{key} is not an array")
            return values
        except KitError:
            raise
        except Exception as error:      # a damaged archive raises errors of zipfile, zlib, numpy and the memory
            raise KitError(f"{path} is not a readable .npz file ({error}).") from error


def read_table(path, *, columns, delimiter=","):
    """Read a CSV as a DataFrame of str, with or without a byte-order mark; it must have these columns.

    The index is the line number of each row in the file. Empty rows are skipped. A row may end in commas or before the
    last column; a row with more values than there are columns is refused.
    """
    rows, end = {}, 0
    try:
        with report_os_error(f"{path} cannot be read"), open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, strict=True)
            for values in lines:
                if any(map(str.strip, values)):
                    rows[end + 1] = values
                end = lines.line_num    # a value in quotes may be several lines long
    except (ValueError, csv.Error) as error:
        raise KitError(f"{path} is not a readable CSV file ({error}).") from error
    if not rows:
        raise KitError(f"{path} is not a readable CSV file (it is empty).")
    names = [name.strip() for name in rows.pop(min(rows))]
    for line, values in rows.items():
        if any(values[len(names) :]):
            raise KitError(f"{path}, line {line}: {len(values)} values, but the first line names {len(names)} columns.")
        rows[line] = [*values, *[""] * len(names)][: len(names)]
    if missing := [name for name in columns if names.count(name) != 1]:
        problem = "twice the" if missing[0] in names else "no"
        raise KitError(f"{path} has {problem} column {listed(missing)}. Its first line is {delimiter.join(names)!r}.")
    return pd.DataFrame.from_dict(rows, orient="index", columns=names, dtype=str)


def whole_numbers(texts, path):
    """Convert a column of text to int64; the error names the line, which is the index, of the first wrong entry.

    Examples
    --------
    >>> whole_numbers(pd.Series(["3", " -1"]), "label.csv")
    array([ 3, -1])
    """
    stripped = texts.str.strip()
    wrong = stripped[~stripped.str.fullmatch(r"-?\d{1,18}")]
    if len(wrong):
        raise KitError(f"line {wrong.index[0]} of {path} has {wrong.iloc[0]!r} where a whole number belongs.")
    return stripped.astype(np.int64).to_numpy()
