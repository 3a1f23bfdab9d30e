"""From a folder of clips to one array on disk: in parallel, block after block, resumable.

Beside the array a JSON names the clips and the choices behind it. What a feature is, is the filterbank's to say.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from . import audio, filterbank
from .errors import KitError, listed
from .progress import progress
from .recipe import difference, digest
from .storage import fingerprint, read_json, replacing, write_json

# Clips that are computed and written at once: small enough to lose, large enough to be worth a process.
_BLOCK = 64


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
        Changes with the clips and with the recipe's feature part.
    """

    array: np.ndarray
    ids: np.ndarray
    fingerprint: str


def extract(sources, path, recipe, *, jobs=-1):
    """Compute the features of all clips, or find them complete, or go on where an earlier run stopped.

    Parameters
    ----------
    sources : Sources
    path : path-like
        The array, such as ``features/train.npy``; the JSON lies beside it.
    recipe : Recipe
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If the file was made (or begun) by another recipe or from other clips, or a clip has gone bad.
    """
    path = Path(path)
    identity = _identity(sources, recipe)
    _claim(path, identity)
    if not path.exists():
        _compute(sources, path, recipe, jobs)
    return load(path)


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
    return Features(array, np.array(identity["ids"]), digest(identity))


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
    mean = features.mean(axis=(0, 1), dtype=np.float64)
    deviation = features.std(axis=(0, 1), dtype=np.float64)
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
    missing = [name for i in sources.paths if not (folder / (name := f"{i}feature.npz")).exists()]
    if missing:
        raise KitError(f"{folder} lacks {listed(missing)}.")
    identity = _identity(sources, recipe)
    _claim(path, identity)
    if path.exists():
        raise KitError(f"{path} is there already; delete it first if the imported features are to replace it.")
    with replacing(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.float32, tuple(identity["shape"]))
        ids = progress(sources.paths, total=len(sources.paths), title="importing features", unit="clip")
        for row, i in enumerate(ids):
            array[row] = _published_values(folder / f"{i}feature.npz", identity["shape"][1:])
        array.flush()
    return load(path)


def _published_values(path, shape):
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = archive["arr_0"]
    except (KeyError, ValueError, EOFError, OSError) as error:
        raise KitError(f"{path} is not a feature file with the key arr_0 ({error}).") from error
    if list(values.shape) != shape or not np.isfinite(values).all():
        raise KitError(f"{path} holds an array of shape {values.shape}; expected {tuple(shape)}, without NaN.")
    return values


def _identity(sources, recipe):
    """What the JSON says: enough to tell whether an array on disk is the one that is asked for."""
    frames = filterbank.count_frames(recipe.samples, length=recipe.frame_length, hop=recipe.hop)
    return {
        "recipe": recipe.part("features"),
        "recipe_hash": recipe.hash("features"),
        "shape": [len(sources.paths), frames, recipe.n_mels],
        "clips_fingerprint": fingerprint(sources.paths.values()),
        "ids": list(sources.paths),
        "clips": [path.name for path in sources.paths.values()],
        "salvaged": {str(i): fault for i, fault in sources.faults.items()},
        "left_out": {str(i): fault for i, fault in sources.left_out.items()},
    }


def _claim(path, identity):
    """Write the JSON, or make sure that the one there says the same.

    It is written before the array: a run that stopped half-way is then as well guarded as a complete one.
    """
    note = path.with_suffix(".json")
    theirs = read_json(note)
    if theirs is None:
        write_json(note, identity)
    elif theirs.get("recipe") != identity["recipe"]:
        raise KitError(
            f"{path} was made by another recipe: here {difference(identity['recipe'], theirs.get('recipe', {}))}. "
            "Choose another output folder, or delete its features and members to start anew."
        )
    elif theirs != identity:
        raise KitError(
            f"{path} was made from other clips; choose another output folder, "
            "or delete its features and members to start anew."
        )


def _compute(sources, path, recipe, jobs):
    shape = tuple(read_json(path.with_suffix(".json"))["shape"])
    partial, note = path.with_suffix(".partial.npy"), path.with_suffix(".progress.json")
    done = (read_json(note) or {"clips": 0})["clips"] if partial.exists() else 0
    try:
        array = np.lib.format.open_memmap(partial, "r+" if done else "w+", np.float32, shape)
        ids = list(sources.paths)
        blocks = [ids[start : start + _BLOCK] for start in range(done, len(ids), _BLOCK)]
        computed = Parallel(jobs, return_as="generator")(
            delayed(_block)([(sources.paths[i], i in sources.faults) for i in block], recipe) for block in blocks
        )
        with progress(total=len(ids), done=done, title=f"features of {path.stem}", unit="clip") as bar:
            for values in computed:
                array[done : done + len(values)] = values
                array.flush()  # the clips must be on the disk before the note that says so
                done += len(values)
                write_json(note, {"clips": done})
                bar.update(len(values))
        os.replace(partial, path)
        note.unlink()
    except OSError as error:
        raise KitError(
            f"{partial} could not be written: {error.strerror or error}. "
            "What was computed before is kept; make room, then run again."
        ) from error


def _block(clips, recipe):
    """Features of a few clips, shape (clips, frames, bands), float32."""
    size = {"sample_rate": recipe.sample_rate, "seconds": recipe.seconds}
    signals = [(audio.salvage if is_bad else audio.load)(path, **size) for path, is_bad in clips]
    return np.stack([filterbank.log_mel(signal, recipe) for signal in signals]).astype(np.float32)
