"""Label files in their three forms (text, .npz, CSV), and reading CSV tables of ids."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed
from ..utils.storage import replacing

CLASSES = ("no voice", "one male voice", "one female voice", "more than one voice")

LABEL_SUFFIXES = (".txt", ".npz", ".csv")


def read_labels(path, *, classes=len(CLASSES)):
    """Read labels from text (a line each), ``.npz`` (key ``labels``) or CSV (``id,category``, in any order).

    Parameters
    ----------
    path : path-like
    classes : int
        Labels lie in ``0 … classes - 1``.

    Returns
    -------
    ndarray, shape (n,), int64
        Entry i belongs to clip i.

    Raises
    ------
    KitError
        If the file cannot be read so, a label is no number or out of range, or an id is missing or doubled.
    """
    path = Path(path)
    if path.suffix not in LABEL_SUFFIXES:
        raise KitError(f"{path} is no label file; labels are read from {', '.join(LABEL_SUFFIXES)}.")
    try:
        labels = {".txt": _text_labels, ".npz": _npz_labels, ".csv": _csv_labels}[path.suffix](path)
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise KitError(f"{path} is not text in UTF-8; save it as such.") from error
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise KitError(f"{path} gives clip {outside[0]} the label {labels[outside[0]]}; labels lie in 0–{classes - 1}.")
    return labels


def write_labels(path, labels):
    """Write labels as ``.npz`` with the key ``labels``, the form that the published solution reads.

    Parameters
    ----------
    path : path-like, ending in ``.npz``
    labels : ndarray, shape (n,), int
    """
    if Path(path).suffix != ".npz":
        raise KitError(f"{path} must end in .npz.")
    with replacing(path) as temporary:
        np.savez(temporary, labels=labels)


def _text_labels(path):
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    return whole_numbers(pd.Series(lines, index=range(len(lines)), dtype=str), path, first_line=1)


def _npz_labels(path):
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels = archive["labels"]
    except KeyError:
        raise KitError(f"{path} has no key 'labels'.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise KitError(f"{path} is not a readable .npz file ({error}).") from error
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        found = f"labels of shape {labels.shape}, {labels.dtype}"
        raise KitError(f"{path} holds {found}; expected one row of whole numbers.")
    return labels.astype(np.int64)


def _csv_labels(path):
    table = read_table(path, columns=("id", "category"))
    ids = whole_numbers(table["id"], path)
    if not np.array_equal(np.sort(ids), np.arange(len(ids))):
        raise KitError(f"{path} must list every id from 0 to {len(ids) - 1} once.")
    return whole_numbers(table["category"], path)[np.argsort(ids)]


def read_table(path, *, columns):
    """A CSV as text, with or without a byte-order mark, that must have these columns; DataFrame of str."""
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # also what pandas raises for a broken or empty CSV
        raise KitError(f"{path} is not a readable CSV file ({error}).") from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise KitError(f"{path} has no column {listed(missing)}; it starts with {','.join(table.columns)!r}.")
    return table


def whole_numbers(texts, path, *, first_line=2):
    """A column of text as int64; the first entry that is none is named with its line in the file."""
    stripped = texts.str.strip()
    wrong = stripped[~stripped.str.fullmatch(r"-?\d{1,18}")]
    if len(wrong):
        line = wrong.index[0] + first_line
        raise KitError(f"line {line} of {path} has {wrong.iloc[0]!r} where a whole number belongs.")
    return stripped.astype(np.int64).to_numpy()
