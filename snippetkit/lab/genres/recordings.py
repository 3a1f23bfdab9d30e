"""Recordings of music in one folder per genre: what notebook 06 reads, and its choices."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from ...audio import recordings
from ...recipe import Recipe
from ...utils.errors import KitError, listed
from ...utils.folders import files_in
from ...utils.parallel import parallel_map
from ...utils.parameters import path, text
from .. import feature_sets
from ..spectrogram import MelSpectrogram

SECONDS = 29.7      # of a recording, as in the genre study
PARTS = ("test", "validation", "training")      # of the split that a dataset suggests

# Parameters of the notebook: the default for the demo, the default for real recordings (the genre study's where it is
# known), and the lowest value. Tuning needs three folds, training two.
_PARAMETERS = {
    "seconds": (6.0, SECONDS, 0.5), "folds": (3, 5, 3), "epochs": (8, 30, 1), "tries": (4, 30, 1),
    "filters": (64, 256, 32), "shares": ("95", "90 95 99", None), "cv": (3, 10, 2), "weights": ("random", "", None),
    "sets": ("all", " ".join(feature_sets.OF_518), None),
}


def resolve_parameters(is_demo, **given):
    """Check the parameters of notebook 06 and fill in those that are 0 or empty.

    Parameters
    ----------
    is_demo : bool
        Whether the defaults are those for the demo or those for real recordings.
    **given : scalars
        ``seconds``, ``folds``, ``epochs``, ``tries``, ``filters``, ``shares``, ``cv``, ``weights``, ``sets``: some or
        all.

    Returns
    -------
    SimpleNamespace
        All of them; ``shares`` as a list of float, 0 to 1, ``sets`` as a list of names.

    Raises
    ------
    KitError
        If a name is unknown, or a value is not a number or out of range.

    Examples
    --------
    >>> resolve_parameters(True, epochs=2, shares="90 95").shares
    [0.9, 0.95]
    """
    if unknown := set(given) - set(_PARAMETERS):
        raise KitError(f"there is no parameter {listed(sorted(unknown))}. Choose from {', '.join(_PARAMETERS)}.")
    values = {}
    for name, (demo, real, lowest) in _PARAMETERS.items():
        value = given.get(name) or (demo if is_demo else real)
        values[name] = value if lowest is None else _in_range(name, value, type(real), lowest)
    percents = text(values["shares"]).replace(",", " ").split()
    values["shares"] = [_in_range("shares", percent, float, 1, 99) / 100 for percent in percents]
    values["weights"], values["sets"] = path(values["weights"]), feature_sets.choose(values["sets"])
    return SimpleNamespace(**values)


def _in_range(name, value, kind, lowest, highest=np.inf):
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        raise KitError(f"{name}={value!r} is not a number.") from None
    if not lowest <= number <= highest:
        valid = f"{lowest} or more" if highest == np.inf else f"{lowest} to {highest}"
        raise KitError(f"{name}={value!r} is out of range. Choose {valid}, or leave it empty.")
    return number


def genre_recipe(*, seconds=SECONDS, folds=5, epochs=30):
    """The genre study's spectrogram (22,050 Hz, 128 mel bands, hop 512: 1280 frames of 29.7 s), one member per fold.

    How it is trained is the kit's own choice.
    """
    return Recipe(
        members=folds, folds=folds, split="songs", separator="none", sample_rate=22_050, seconds=seconds,
        preemphasis=0.0, frame_length=2048, n_fft=2048, hop=512, window="hann", n_mels=128, f_max=11_025.0,
        standardise=True, model="lab.cnn4", dropout=0.25, epochs=epochs, batch_size=16, lr=1e-3, weight_decay=1e-2,
        schedule="one_cycle",
    )


@dataclass(frozen=True)
class Recordings:
    """The usable recordings of a folder, and what is wrong with the others.

    Attributes
    ----------
    paths : list of Path
    labels : ndarray, shape (recordings,), int64
    names : list of str
        Genres with at least one usable recording.
    groups : ndarray, shape (recordings,), int64
        Number of the artist.
    faults : dict
        Path relative to the folder to what is wrong with it.
    part : ndarray, shape (recordings,), int64, or None
        Index into `PARTS`, if the dataset suggests a split.
    numbers : ndarray, shape (recordings, 518), or None
        If the dataset comes with them.
    """

    paths: list
    labels: np.ndarray
    names: list
    groups: np.ndarray
    faults: dict
    part: np.ndarray | None = None
    numbers: np.ndarray | None = None


def read_recordings(folder, *, seconds=SECONDS, jobs=-1):
    """Find and check the recordings in a folder with one subfolder per genre; damaged ones are left out.

    Parameters
    ----------
    folder : path-like
        The artist is what precedes `` - `` in a file name. A recording without an artist is its own group.
    seconds : float
        Required length of a recording; longer ones are cut.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Recordings

    Raises
    ------
    KitError
        If there are fewer than two genres.
    """
    paths = [path for genre in sorted(Path(folder).iterdir()) if genre.is_dir() for path in _sound_files(genre)]
    results = find_faults(paths, seconds=seconds, jobs=jobs)
    faults = {path.relative_to(folder): fault for path, fault in zip(paths, results) if fault}
    good = [path for path, fault in zip(paths, results) if not fault]
    labels, names = pd.factorize(np.array([path.parent.name for path in good]), sort=True)
    if len(names) < 2:
        raise KitError(
            f"{folder} has recordings of at least {seconds:g} s of {len(names)} genres ({len(faults)} others are "
            f"damaged or shorter, {len(_sound_files(Path(folder)))} are in no subfolder). Give a folder with one "
            "subfolder per genre."
        )
    return Recordings(
        paths=good, labels=labels, names=names.tolist(), faults=faults,
        groups=pd.factorize(np.array([_artist(path) for path in good]))[0],
    )


def find_faults(paths, *, seconds, jobs=-1):
    """What is wrong with each recording, decoded in parallel: list of str, or None for a good one."""
    check = partial(_find_fault, seconds=seconds)
    return parallel_map(check, paths, jobs=jobs, title="checking recordings", unit="recording")


def faults_table(clips):
    """The recordings that were left out: DataFrame with ``recording`` and ``fault``."""
    rows = [(path.as_posix(), fault) for path, fault in clips.faults.items()]
    return pd.DataFrame(rows, columns=["recording", "fault"])


def _sound_files(folder):
    return [path for path in files_in(folder) if path.suffix.lower() in recordings.SUFFIXES]


def _artist(path):
    artist, dash, _ = path.stem.partition(" - ")
    return artist.strip() if dash else str(path)


def _find_fault(path, seconds):
    try:
        load(path, sample_rate=22_050, seconds=seconds)
    except KitError as error:
        return str(error)
    return None


def load(path, *, sample_rate, seconds):
    """Decode the first seconds of a recording: ndarray, shape (round(seconds · sample_rate),), float32.

    Raises
    ------
    KitError
        As `recordings.load`; if the recording is shorter.
    """
    signal, samples = recordings.load(path, sample_rate=sample_rate), round(seconds * sample_rate)
    if len(signal) < samples:
        raise KitError(f"{Path(path).name} is {len(signal) / sample_rate:.1f} s long instead of {seconds:g} s.")
    return signal[:samples]


def grey_pictures(paths, recipe, *, jobs=-1):
    """Log-mel spectrograms as grey pictures.

    Parameters
    ----------
    paths : sequence of path-like
    recipe : Recipe
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, frames, bands), uint8
        255 is the loudest point of a clip, 0 is 80 dB below it or less.
    """
    def draw(path):
        signal = load(path, sample_rate=recipe.sample_rate, seconds=recipe.seconds)
        return np.round(255 * (1 + MelSpectrogram(recipe).levels(signal) / 80)).astype(np.uint8)

    return np.stack(parallel_map(draw, paths, jobs=jobs, title="log-mel pictures"))
