"""Features in the format of the published solution: one ``{i}feature.npz`` per clip with the key ``arr_0``."""

from pathlib import Path

import numpy as np

from ..data.labels import read_npz
from ..utils.artifacts import rows_done, write_rows
from ..utils.errors import KitError, listed
from ..utils.lock import exclusive_task
from ..utils.progress import progress
from ..utils.storage import replacing
from .extraction import blocks_of, claim_array, load, made_by, shape_of


def export_features(features, folder):
    """Write one file per clip.

    Parameters
    ----------
    features : Features
    folder : path-like
    """
    rows = progress(features.array, total=len(features.array), title="exporting features", unit="clip")
    for values, i in zip(rows, features.ids):
        with replacing(Path(folder) / f"{i}feature.npz") as temporary:
            np.savez(temporary, values)


def import_features(folder, sources, path, recipe):
    """Take features from one file per clip instead of computing them.

    The clips are still needed: they say which files there must be, and later stages check that nothing changed.

    Parameters
    ----------
    folder : path-like
    sources : Sources
    path : path-like
        The array to make.
    recipe : Recipe

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If a file is missing, or its array does not have the recipe's shape or contains NaN.
    """
    folder, path = Path(folder), Path(path)
    if missing := [name for i in sources.clips if not (folder / (name := f"{i}feature.npz")).exists()]:
        raise KitError(f"{folder} lacks {listed(missing)}.")
    if path.exists():
        raise KitError(f"{path} exists. Delete it and its JSON first if imported features are to replace it.")
    source, shape = f"imported from {folder.name}", shape_of(sources, recipe)
    identity = [made_by(sources, recipe), source]
    claim_array(path, sources, recipe, source=source)
    with exclusive_task(path.parent, "importing features"):
        todo = list(sources.clips)[rows_done(path, identity) :]
        blocks = (np.stack([_read(folder / f"{i}feature.npz", shape[1:]) for i in ids]) for ids in blocks_of(todo))
        with progress(total=len(todo), title=f"importing {path.stem}", unit="clip") as bar:
            write_rows(path, identity, shape, blocks, bar)
    return load(path)


def _read(path, shape):
    values = read_npz(path, "arr_0")
    if values.shape != shape or not np.isfinite(values).all():
        raise KitError(f"{path} contains an array of shape {values.shape}. Expected {shape}, without NaN.")
    return values
