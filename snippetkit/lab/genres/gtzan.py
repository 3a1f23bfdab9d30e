"""GTZAN as a table of numbers that somebody computed, and who recorded what."""

from pathlib import Path

import numpy as np
import pandas as pd

from ...data import labels
from ...utils.errors import KitError

_KNOWN = 0.5        # of a table's recordings, at least, whose file is named in the table of artists


def read_table(folder):
    """GTZAN as a table: numbers somebody computed of 1000 recordings, and who recorded them.

    Parameters
    ----------
    folder : path-like
        With ``gtzan_features_30_sec.csv`` and ``tracks.csv``.

    Returns
    -------
    numbers : ndarray, shape (recordings, numbers), float64
    labels : ndarray, shape (recordings,), int64
    artists : ndarray, shape (recordings,), int64
        Where the artist is not known, a recording is an artist of its own.
    names : list of str
        Of the genres.

    Raises
    ------
    KitError
        If one of the tables is missing or damaged, lacks a column, or if few recordings are in both.
    """
    path, tracks_path = (Path(folder, name) for name in ("gtzan_features_30_sec.csv", "tracks.csv"))
    table = labels.read_table(path, columns=("filename", "label"))
    tracks = labels.read_table(tracks_path, columns=("file", "artist")).drop_duplicates("file").set_index("file")
    wrongs = {"label": table["label"].str.strip().eq(""), "filename": table["filename"].duplicated(keep=False)}
    for column, wrong in wrongs.items():
        if wrong.any():
            raise KitError(f"{path}, line {wrong.idxmax() + 2}: {column} is missing or stands there twice.")
    known = table["filename"].isin(tracks.index).mean()
    if known < _KNOWN:
        raise KitError(
            f"{tracks_path} names only {known:.0%} of the recordings of {path.name}, so that artists could not be kept "
            "apart; write their file names alike."
        )
    label, names = pd.factorize(table["label"], sort=True)
    artist = tracks["artist"].reindex(table["filename"]).reset_index(drop=True)
    artist = artist.where(artist.notna() & artist.str.strip().ne(""), table["filename"])
    columns = [name for name in table.columns if name not in ("filename", "length", "label")]
    numbers = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise KitError(f"{path}, line {row + 2}: {columns[column]} is no number.")
    return numbers, label.astype(np.int64), pd.factorize(artist)[0], list(names)
