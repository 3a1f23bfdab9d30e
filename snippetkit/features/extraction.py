"""From a folder of clips to one array of features on disk: in parallel, block by block, resumable."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import delayed

from .. import audio, filterbank
from ..recipe import Recipe
from ..utils.artifacts import claim, difference, digest, read_record, rows_done, write_record, write_rows
from ..utils.errors import KitError
from ..utils.lock import exclusive_task
from ..utils.parallel import run_tasks, use_cluster
from ..utils.progress import progress

BLOCK = 64  # clips that are computed and written together: small enough to lose, large enough to keep a process busy

# The source of an array as its record says: this, or "imported from …".
COMPUTED = "computed"


@dataclass(frozen=True)
class Features:
    """The features of one split.

    Attributes
    ----------
    array : ndarray
        Memory-mapped, read-only. Log-mel features have shape (clips, frames, bands), float32, in dB. Views of
        pretrained networks have the shape and type of the View.
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
        # Another process opens the file itself instead of receiving half a gigabyte.
        if isinstance(self.array, np.memmap):
            return load, (self.array.filename,)
        return Features, (self.array, self.ids, self.fingerprint, self.source)


def extract(sources, path, recipe, *, jobs=-1, cluster=""):
    """Compute the features of all clips, continue an earlier run, or return them if they are complete.

    Parameters
    ----------
    sources : Sources
    path : path-like
        The array, such as ``features/train.npy``; its record is ``train.json``.
    recipe : Recipe
    jobs : int
        Number of processes, as joblib counts them.
    cluster : str
        As in `parallel.use_cluster`; its workers replace the processes.

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If the file was made (or begun) with another recipe or from other clips, a clip has become unreadable, or as
        `parallel.use_cluster`.
    """
    path = Path(path)
    claim_array(path, sources, recipe, source=COMPUTED)
    if not path.exists():
        with exclusive_task(path.parent, "computing features"):
            if not path.exists():   # the process that held the lock may have computed them
                with use_cluster(cluster):
                    _compute(sources, path, recipe, None if cluster else jobs)
    return load(path)


def log_mel_of(path, recipe=None):
    """Features of one sound file of any length.

    Parameters
    ----------
    path : path-like
    recipe : Recipe or None
        None: the published one.

    Returns
    -------
    ndarray, shape (frames, bands), float64, in dB

    Raises
    ------
    KitError
        As `audio.load`.
    """
    recipe = recipe or Recipe.published()
    return filterbank.log_mel(audio.load(path, sample_rate=recipe.sample_rate, seconds=None), recipe)


def is_complete(sources, path, recipe):
    """Whether the features of these clips exist, so that neither clips nor vocals are needed."""
    return is_made(path, made_by(sources, recipe))


def is_made(path, made_by):
    """Whether an array is complete and its record says that it was made in this way."""
    record = read_record(Path(path).with_suffix(".json"))
    return Path(path).exists() and record is not None and not difference(record["made_by"], made_by)


def load(path):
    """Open complete features.

    Returns
    -------
    Features

    Raises
    ------
    KitError
        If they are missing, incomplete, or do not match their record.
    """
    path = Path(path)
    record = read_record(path.with_suffix(".json"))
    if record is None or not path.exists():
        raise KitError(f"there are no complete features at {path}. Run the notebook 02_features first.")
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise KitError(f"{path} cannot be read ({error}). Delete it and run 02_features again.") from error
    if list(array.shape) != record["shape"]:
        raise KitError(
            f"{path} has shape {array.shape}, but its record says {record['shape']}. Delete both and run again."
        )
    return Features(array, np.array(record["ids"]), digest([record["made_by"], record["source"]]), record["source"])


def band_statistics(features):
    """Mean and standard deviation of each band over clips and frames.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)
        Or what has a length and gives ndarrays for slices.

    Returns
    -------
    mean, deviation : ndarray, shape (bands,), float64
        The deviation of a constant band is 1.
    """
    # In blocks, because numpy's own deviation first makes a float64 copy of everything.
    def blocks():
        return (features[start : start + BLOCK] for start in range(0, len(features), BLOCK))

    count = len(features) * features[:1].shape[1]
    mean = sum(block.sum(axis=(0, 1), dtype=np.float64) for block in blocks()) / count
    variance = sum(np.square(block - mean).sum(axis=(0, 1)) for block in blocks()) / count
    return mean, np.sqrt(np.where(variance > 0, variance, 1.0))


def made_by(sources, recipe):
    """What the record of an array says: enough to decide whether it is the wanted one."""
    return {"recipe": recipe.part("features"), "clips": sources.fingerprint, "weights": sources.weights}


def shape_of(sources, recipe):
    """Shape of the array: (clips, frames, bands)."""
    return len(sources.clips), *filterbank.shape_of(recipe.samples, recipe)


def claim_array(path, sources, recipe, *, source):
    """Write the record of an array, or check the one that is there; a complete array may have another source."""
    about = {"shape": list(shape_of(sources, recipe)), "ids": list(sources.clips), "source": source}
    record = claim(
        path.with_suffix(".json"), made_by(sources, recipe), artifact=path, exists=path.exists(),
        delete=f"{path.parent} and the members beside it", **about,
    )
    if not path.exists() and record["source"] != source:
        write_record(path.with_suffix(".json"), record["made_by"], **about)


def blocks_of(clips):
    """Cut a list or an array into blocks of `BLOCK`."""
    return [clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK)]


def _compute(sources, path, recipe, jobs):
    identity = [made_by(sources, recipe), COMPUTED]
    ids, done = list(sources.paths), rows_done(path, identity)
    # absolute, because a worker of a cluster has another current folder
    clips = {i: (clip.absolute(), i in sources.faults) for i, clip in sources.paths.items()}
    blocks = run_tasks((delayed(_features)([clips[i] for i in block], recipe) for block in blocks_of(ids[done:])), jobs)
    with progress(total=len(ids), done=done, title=f"features of {path.stem}", unit="clip") as bar:
        write_rows(path, identity, shape_of(sources, recipe), blocks, bar)


def _features(clips, recipe):
    """Features of a few clips, shape (clips, frames, bands), float32."""
    signals = [audio.load_clip(path, recipe, is_bad=is_bad) for path, is_bad in clips]
    return np.stack([filterbank.log_mel(signal, recipe) for signal in signals]).astype(np.float32)
