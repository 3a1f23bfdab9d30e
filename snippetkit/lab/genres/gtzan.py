"""GTZAN as a table of published features, with the artist of each recording."""

from pathlib import Path

import numpy as np
import pandas as pd

from ...data import labels
from ...utils import parameters
from ...utils.errors import KitError

_FEWEST_KNOWN = 0.5     # share of the recordings whose artist must be known


def read_table(folder):
    """Read the features of 1000 recordings, their genres and their artists.

    Parameters
    ----------
    folder : path-like
        Contains ``gtzan_features_30_sec.csv`` and ``tracks.csv`` (columns ``file`` and ``artist``).

    Returns
    -------
    numbers : ndarray, shape (recordings, numbers), float64
    labels : ndarray, shape (recordings,), int64
    artists : ndarray, shape (recordings,), int64
        A recording without a known artist gets its own number.
    names : list of str
        Of the genres.

    Raises
    ------
    KitError
        If a table is missing, damaged or lacks a column, or if most recordings are not in ``tracks.csv``.
    """
    path, tracks_path = (Path(parameters.path(folder), name) for name in ("gtzan_features_30_sec.csv", "tracks.csv"))
    table = labels.read_table(path, columns=("filename", "label"))
    tracks = labels.read_table(tracks_path, columns=("file", "artist")).drop_duplicates("file").set_index("file")
    faults = {"label is missing": table["label"].str.strip().eq(""),
              "filename appears twice": table["filename"].duplicated(keep=False)}
    for fault, is_wrong in faults.items():
        if is_wrong.any():
            raise KitError(f"{path}, line {is_wrong.idxmax()}: {fault}.")
    known = table["filename"].isin(tracks.index).mean()
    if known < _FEWEST_KNOWN:
        raise KitError(
            f"{tracks_path} names only {known:.0%} of the recordings of {path.name}, so folds cannot keep artists "
            "apart. Use the same file names in both."
        )
    label, names = pd.factorize(table["label"], sort=True)
    artist = tracks["artist"].reindex(table["filename"]).set_axis(table.index)
    artist = artist.where(artist.notna() & artist.str.strip().ne(""), table["filename"])
    columns = [name for name in table.columns if name not in ("filename", "length", "label")]
    numbers = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise KitError(f"{path}, line {table.index[row]}: {columns[column]} is not a number.")
    return numbers, label.astype(np.int64), pd.factorize(artist)[0], list(names)
