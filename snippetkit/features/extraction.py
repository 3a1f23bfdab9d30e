"""From a folder of clips to one array on disk: in parallel, block after block, resumable.

Beside the array a JSON names the clips and the choices behind it. What a feature is, is the filterbank's to say.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import delayed

from .. import audio, filterbank
from ..utils.cluster import connected, one_by_one
from ..utils.errors import KitError, listed
from ..utils.fingerprints import digest, fingerprint
from ..utils.lock import at_work
from ..utils.progress import progress
from .rows import claim, is_of, rows_done, write_rows
from ..utils.storage import read_json, replacing

# Clips that are computed and written at once: small enough to lose, large enough to be worth a process.
_BLOCK = 64

# Where an array came from, as its JSON says: from here, or "imported from …".
COMPUTED = "computed"


@dataclass(frozen=True)
class Features:
    """The features of one split.

    Attributes
    ----------
    array : ndarray, shape (clips, frames, bands), float32, in dB
        Memory-mapped, read-only.
    ids : ndarray, shape (clips,), int64
        Row k belongs to clip ``ids[k]``.
    fingerprint : str
        Changes with the clips, with the recipe's feature part and with the source.
    source : str
        'computed', or 'imported from …'.
    """

    array: np.ndarray
    ids: np.ndarray
    fingerprint: str
    source: str = COMPUTED

    def __reduce__(self):
        # Another process opens the file for itself instead of being sent half a gigabyte.
        if isinstance(self.array, np.memmap):
            return load, (self.array.filename,)
        return Features, (self.array, self.ids, self.fingerprint, self.source)


def extract(sources, path, recipe, *, jobs=-1, cluster=""):
    """Compute the features of all clips, or find them complete, or go on where an earlier run stopped.

    Parameters
    ----------
    sources : Sources
    path : path-like
        The array, such as ``features/train.npy``; the JSON lies beside it.
    recipe : Recipe
    jobs : int
        Processes, as joblib counts them.
    cluster : str
        As in `cluster.connected`; all its workers, instead of processes here.

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If the file was made (or begun) by another recipe or from other clips, a clip has gone bad, or as
        `cluster.connected` does.
    """
    path = Path(path)
    identity = _identity(sources, recipe)
    claim(path, identity, source=COMPUTED)
    if not path.exists():
        with at_work(path.parent, "computing features"):
            if not path.exists():  # who held the folder until now may have computed them
                with connected(cluster):
                    _compute(sources, path, identity, recipe, None if cluster else jobs)
    return load(path)


def is_complete(sources, path, recipe):
    """Whether the features of these clips are there already, so that neither clips nor vocals are needed for them.

    Parameters
    ----------
    sources : Sources
    path : path-like
    recipe : Recipe

    Returns
    -------
    bool
    """
    path = Path(path)
    theirs = read_json(path.with_suffix(".json"))
    return path.exists() and theirs is not None and is_of(theirs, _identity(sources, recipe))


def load(path):
    """Open features that are complete.

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If they are missing, not complete, or not what their JSON says.
    """
    path = Path(path)
    identity = read_json(path.with_suffix(".json"))
    if identity is None or not path.exists():
        raise KitError(f"there are no complete features at {path}; run the notebook 02_features first.")
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise KitError(f"{path} cannot be read ({error}); delete it and run 02_features again.") from error
    if list(array.shape) != identity["shape"]:
        raise KitError(f"{path} has shape {array.shape}, its JSON says {identity['shape']}; delete both, run again.")
    return Features(array, np.array(identity["ids"]), digest(identity), identity["source"])


def band_statistics(features):
    """Mean and standard deviation of each band over clips and frames.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)

    Returns
    -------
    mean, deviation : ndarray, shape (bands,), float64
        The deviation of a band that never changes is given as 1.
    """
    # In blocks: numpy's own deviation would first make a float64 copy of everything.
    blocks = [features[start : start + _BLOCK] for start in range(0, len(features), _BLOCK)]
    count = features.shape[0] * features.shape[1]
    mean = sum(block.sum(axis=(0, 1), dtype=np.float64) for block in blocks) / count
    variance = sum(np.square(block - mean).sum(axis=(0, 1)) for block in blocks) / count
    deviation = np.sqrt(variance)
    return mean, np.where(deviation > 0, deviation, 1.0)


def export_published(features, folder):
    """Write one ``{i}feature.npz`` a clip (key ``arr_0``), as the published solution keeps them.

    Parameters
    ----------
    features : Features
    folder : path-like
    """
    rows = progress(features.array, total=len(features.array), title="exporting features", unit="clip")
    for values, i in zip(rows, features.ids):
        with replacing(Path(folder) / f"{i}feature.npz") as temporary:
            np.savez(temporary, values)


def import_published(folder, sources, path, recipe):
    """Take features from ``{i}feature.npz`` files instead of computing them.

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
        If a file is missing, or its array does not have the recipe's shape or holds NaN.
    """
    folder, path = Path(folder), Path(path)
    missing = [name for i in sources.clips if not (folder / (name := f"{i}feature.npz")).exists()]
    if missing:
        raise KitError(f"{folder} lacks {listed(missing)}.")
    if path.exists():
        raise KitError(f"{path} is there already; delete it and its JSON first if imported features are to replace it.")
    identity = _identity(sources, recipe)
    source = f"imported from {folder.name}"
    claim(path, identity, source=source)
    with at_work(path.parent, "importing features"):
        todo = list(sources.clips)[rows_done(path, identity, source=source) :]
        blocks = (
            np.stack([_published_values(folder / f"{i}feature.npz", identity["shape"][1:]) for i in block])
            for block in _blocks(todo)
        )
        with progress(total=len(todo), title=f"importing {path.stem}", unit="clip") as bar:
            write_rows(path, identity, blocks, bar, source=source)
    return load(path)


def _published_values(path, shape):
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = archive["arr_0"]
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise KitError(f"{path} is not a feature file with the key arr_0 ({error}).") from error
    if list(values.shape) != shape or not np.isfinite(values).all():
        raise KitError(f"{path} holds an array of shape {values.shape}; expected {tuple(shape)}, without NaN.")
    return values


def _identity(sources, recipe):
    """What the JSON says: enough to tell whether an array on disk is the one that is asked for."""
    return {
        "recipe": recipe.part("features"),
        "recipe_hash": recipe.hash("features"),
        "shape": [len(sources.clips), *filterbank.shape_of(recipe.samples, recipe)],
        "clips_fingerprint": fingerprint(sources.clips.values()),
        "weights": sources.weights,
        "ids": list(sources.clips),
        "clips": [path.name for path in sources.clips.values()],
        "salvaged": list(sources.faults),
        "left_out": list(sources.left_out),
    }


def _compute(sources, path, identity, recipe, jobs):
    ids = list(sources.paths)
    done = rows_done(path, identity, source=COMPUTED)
    # a worker of a cluster has another current folder
    clips = {i: (each.absolute(), i in sources.faults) for i, each in sources.paths.items()}
    computed = one_by_one(
        (delayed(_block)([clips[i] for i in block], recipe) for block in _blocks(ids[done:])), jobs
    )
    with progress(total=len(ids), done=done, title=f"features of {path.stem}", unit="clip") as bar:
        write_rows(path, identity, computed, bar, source=COMPUTED)


def _blocks(ids):
    return [ids[start : start + _BLOCK] for start in range(0, len(ids), _BLOCK)]


def _block(clips, recipe):
    """Features of a few clips, shape (clips, frames, bands), float32."""
    size = {"sample_rate": recipe.sample_rate, "seconds": recipe.seconds}
    signals = [(audio.salvage if is_bad else audio.load)(path, **size) for path, is_bad in clips]
    return np.stack([filterbank.log_mel(signal, recipe) for signal in signals]).astype(np.float32)
