"""Genres: a folder of recordings a genre, as the methods take them."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from ...features.extraction import Features
from ...recipe import Recipe
from ...songs import folds
from ...songs.table import Songs
from ...training.data import TrainingData
from ...utils.artifacts import digest
from ...utils.errors import KitError, listed
from ...utils.progress import progress
from .. import sound
from ..spectrogram import MelSpectrogram

SECONDS = 29.7      # of a recording, as the genre study has it

# What a notebook takes where it is told nothing: on the demo as little as shows how it goes, elsewhere the study's
# numbers where they are known.
_ON_DEMO = {
    "seconds": 6.0, "folds": 3, "epochs": 8, "tries": 4, "filters": 64, "shares": "95", "cv": 3, "weights": "random",
}
_ELSEWHERE = {
    "seconds": SECONDS, "folds": 5, "epochs": 30, "tries": 30, "filters": 256, "shares": "90 95 99", "cv": 10,
    "weights": "",
}

# Of each there must be so many; the tuning takes a fold more than the two that training does.
_FEWEST = {"seconds": 0.5, "folds": 3, "epochs": 1, "tries": 1, "filters": 32, "cv": 2}


def settled(is_demo, **given):
    """The choices of a notebook: what was given, and where that is 0 or empty what fits the demo or real recordings.

    Parameters
    ----------
    is_demo : bool
    given : scalars
        ``seconds``, ``folds``, ``epochs``, ``tries``, ``filters``, ``shares``, ``cv``, ``weights``: each or some.

    Returns
    -------
    SimpleNamespace
        All of them; ``shares`` as a list of float, 0 to 1.

    Raises
    ------
    KitError
        If one is of no such name, is no number, or too small or large.
    """
    usual = _ON_DEMO if is_demo else _ELSEWHERE
    if strangers := set(given) - set(usual):
        raise KitError(f"there is no choice {listed(sorted(strangers))}; there are {', '.join(usual)}.")
    found = {name: given.get(name) or value for name, value in usual.items()}
    for name, fewest in _FEWEST.items():
        found[name] = _number(name, found[name], type(usual[name]), fewest, np.inf)
    # papermill makes a number of a single share
    percents = str(found["shares"]).replace(",", " ").split()
    return SimpleNamespace(**{**found, "shares": [_number("shares", each, float, 1, 99) / 100 for each in percents]})


def _number(name, value, kind, fewest, most):
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        raise KitError(f"{name}={value!r} is no number.") from None
    if not fewest <= number <= most:
        upper = "" if most == np.inf else f" to {most}"
        raise KitError(f"{name}={value!r} is out of range; give {fewest}{upper or ' or more'}, or leave it empty.")
    return number


def recipe(model="lab.cnn4", *, seconds=SECONDS, folds=5, epochs=30):
    """The study's picture: 22,050 Hz, 128 mel bands, hop 512, which makes 1280 frames of 29.7 s; a member a fold.

    How it is trained is the kit's own.
    """
    return Recipe(
        members=folds, folds=folds, split="songs", separator="none", sample_rate=22_050, seconds=seconds,
        preemphasis=0.0, frame_length=2048, n_fft=2048, hop=512, window="hann", n_mels=128, f_max=11_025.0,
        standardise=True, model=model, dropout=0.25, epochs=epochs, batch_size=16, lr=1e-3, weight_decay=1e-2,
        schedule="one_cycle",
    )


@dataclass(frozen=True)
class Clips:
    """Recordings that can be used, and those that cannot.

    Attributes
    ----------
    paths : list of Path
    labels : ndarray, shape (clips,), int64
    names : list of str
        Of the genres of which there are such recordings.
    groups : ndarray, shape (clips,), int64
        Recordings of one artist have one number.
    faults : dict
        Path below the folder to what is wrong with it.
    """

    paths: list
    labels: np.ndarray
    names: list
    groups: np.ndarray
    faults: dict


def read(folder, *, seconds=SECONDS, jobs=-1):
    """The recordings below a folder that holds a folder a genre; what is damaged is reported and left out.

    Parameters
    ----------
    folder : path-like
        The artist is what stands before `` - `` in a file's name; without that a recording is a group of its own.
    seconds : float
        How long each must be; of longer ones no more is heard.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Clips

    Raises
    ------
    KitError
        If there are fewer than two genres.
    """
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir() and _recordings(path))
    found = [(path, label) for label, name in enumerate(names) for path in _recordings(Path(folder, name))]
    waiting = Parallel(jobs, return_as="generator")(delayed(_fault)(path, seconds) for path, _ in found)
    checked = progress(waiting, total=len(found), title="checking recordings", unit="recording")
    faults = {path: fault for fault, (path, _) in zip(checked, found) if fault}
    good = [(path, label) for path, label in found if path not in faults]
    left = sorted({label for _, label in good})
    if len(left) < 2:
        raise KitError(
            f"{folder} holds recordings of {seconds:g} s and more of {len(left)} genres ({len(faults)} others are "
            f"damaged or shorter, {len(_recordings(Path(folder)))} lie in no folder of a genre); give a folder with a "
            "folder for each genre."
        )
    return Clips(
        paths=[path for path, _ in good], labels=np.array([left.index(label) for _, label in good]),
        names=[names[label] for label in left], groups=pd.factorize(np.array([_artist(path) for path, _ in good]))[0],
        faults={path.relative_to(folder): fault for path, fault in faults.items()},
    )


def _recordings(folder):
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in sound.SUFFIXES)


def _artist(path):
    artist, dash, _ = path.stem.partition(" - ")
    return artist.strip() if dash else str(path)


def _fault(path, seconds):
    try:
        load(path, sample_rate=22_050, seconds=seconds)
    except KitError as error:
        return str(error)
    return None


def load(path, *, sample_rate, seconds):
    """The first seconds of a recording: ndarray, shape (round(seconds · sample_rate),), float32.

    Raises
    ------
    KitError
        As `sound.load` does; if the recording is shorter.
    """
    signal, samples = sound.load(path, sample_rate=sample_rate), round(seconds * sample_rate)
    if len(signal) < samples:
        raise KitError(f"{Path(path).name} holds {len(signal) / sample_rate:.1f} s of sound instead of {seconds:g} s.")
    return signal[:samples]


def pictures(paths, recipe, *, jobs=-1):
    """Log-mel spectra as grey pictures.

    Parameters
    ----------
    paths : sequence of path-like
    recipe : Recipe
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, frames, bands), uint8
        255 is a clip's loudest point, 0 what lies 80 dB below it or deeper.
    """
    waiting = Parallel(jobs, return_as="generator")(delayed(_picture)(path, recipe) for path in paths)
    return np.stack(list(progress(waiting, total=len(paths), title="log-mel pictures", unit="clip")))


def _picture(path, recipe):
    signal = load(path, sample_rate=recipe.sample_rate, seconds=recipe.seconds)
    return np.round(255 * (1 + MelSpectrogram(recipe).levels(signal) / 80)).astype(np.uint8)


def training_data(features, labels, groups, *, classes, count=5, seed=8):
    """Arrays of one's own as the core's training takes them, in folds that keep groups apart.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, columns)
    labels : ndarray, shape (clips,), int
    groups : ndarray, shape (clips,), int
        Of artist or album: what must not stand on both sides.
    classes, count, seed : int
        Of genres and of folds; of how the folds are drawn.

    Returns
    -------
    TrainingData
        Its test clips are none.

    Raises
    ------
    KitError
        If there are too few groups for so many folds.
    """
    if (artists := len(np.unique(groups))) < count:
        raise KitError(
            f"{len(labels)} recordings of {artists} artists are too few for {count} folds without an artist on both "
            "sides; choose fewer folds, or give recordings of more artists."
        )
    clips, labels = len(labels), np.asarray(labels, np.int64)
    name = digest([list(features.shape), zlib.crc32(np.ascontiguousarray(features)), labels.tolist()])
    table = pd.DataFrame({
        "split": "train", "id": np.arange(clips), "song": groups, "group": groups, "follows": -1, "level": -20.0,
        "content": [f"{i:012x}" for i in range(clips)],
    })
    return TrainingData(
        train=Features(features, np.arange(clips), f"train {name}"), labels=labels,
        test=Features(features[:0], np.arange(0), f"test {name}"), classes=classes,
        songs=Songs(table, folds.assign(labels, np.asarray(groups), folds=count, seed=seed)),
    )
