"""Levels of clips and vocals, and a comparison of the two separators."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from .. import audio
from ..audio import level
from ..utils.parallel import parallel_map
from ..utils.storage import write_table
from .package import find_python
from .separation import RATE, open_backend, stereo
from .weights import find_local, find_weights

FLOOR = -96.0   # dBFS, the range of 16 bits
AGREEMENT = 90  # dB; rounding makes the two backends differ by less, anything else by more

# Rounding is relative to the mixture, and without a voice the vocals are only a small part of it: on 14 such clips the
# difference of the backends was 104 to 134 dB below the mixture, and 58 to 99 dB below the vocals. So a difference is
# also accepted if it is this many dB more than AGREEMENT below the mixture.
_HEADROOM = 10
EXPECTED = f"{AGREEMENT} dB below the vocals or {AGREEMENT + _HEADROOM} dB below the mixture"


def energies(sources, folder, *, jobs=-1):
    """Level of every clip and of its vocals; measured once, then read.

    Parameters
    ----------
    sources : Sources
    folder : path-like
        Where the table is kept, as a CSV: ``vocals`` in the work folder.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    DataFrame
        One row per clip: ``clip`` (its id), ``mixture`` and ``vocals`` (root mean square in dBFS, at least FLOOR) and
        ``share`` (vocals minus mixture, in dB; NaN if the clip is silent).

    Raises
    ------
    KitError
        If a file is missing or damaged.
    """
    path = Path(folder) / f"energy_{sources.weights}.csv"
    ids = list(sources.clips)
    table = pd.read_csv(path) if path.exists() else None
    if table is None or table["clip"].tolist() != ids:
        levels = parallel_map(
            _levels, [sources.clips[i] for i in ids], [sources.paths[i] for i in ids], jobs=jobs,
            title="energy of the vocals",
        )
        table = pd.DataFrame(levels, columns=["mixture", "vocals"])
        table.insert(0, "clip", ids)
        write_table(path, table)
    return table.assign(share=(table["vocals"] - table["mixture"]).where(table["mixture"] > FLOOR))


def take_apart(clip, vocals, recipe):
    """The mixture, the vocals and the accompaniment of a clip, to listen to.

    Parameters
    ----------
    clip : path-like
    vocals : path-like
        The vocals of the clip. If this is the clip itself, because nothing was separated, they are separated now,
        unless Spleeter's weights would have to be fetched.
    recipe : Recipe

    Returns
    -------
    dict
        'mixture', 'vocals' and 'accompaniment', which is the difference of the two, to ndarray, shape (samples,), at
        the recipe's sample rate, between -1 and 1. Only the mixture if there are no vocals.

    Raises
    ------
    KitError
        As `audio.load`, or if the weights are damaged.
    """
    parts = {"mixture": audio.load_clip(clip, recipe, is_bad=False)}
    if Path(vocals) != Path(clip):
        parts["vocals"] = audio.load_clip(vocals, recipe, is_bad=False)
    elif weights := find_local()[0]:
        mixture = stereo(audio.load_clip(clip, recipe, is_bad=False, sample_rate=RATE, mono=False))
        with open_backend("torch", weights) as backend:
            separated = backend(mixture[np.newaxis])[0]
        sizes = {"sample_rate": recipe.sample_rate, "seconds": recipe.seconds}
        parts["vocals"] = audio.from_samples(clip, separated, RATE, **sizes)
    if "vocals" in parts:
        parts["accompaniment"] = parts["mixture"] - parts["vocals"]
    return {name: np.clip(signal, -1, 1) for name, signal in parts.items()}


def compare_separators(path, weights=""):
    """Separate a clip, of some minutes at most, with both backends.

    Parameters
    ----------
    path : path-like
    weights : path-like
        The folder with Spleeter's weights; empty: wherever `find_weights` finds them.

    Returns
    -------
    dict
        ``weights``: the folder; ``mixture``, ``torch`` and ``spleeter``: levels of the clip and of its vocals, in dBFS;
        ``below_vocals`` and ``below_mixture``: how far the difference of the vocals lies below the package's vocals and
        below the clip, in dB; ``agrees``: whether it is no more than rounding.

    Raises
    ------
    KitError
        If the clip cannot be read, or a backend is not available.
    """
    mixture = stereo(audio.load(path, sample_rate=RATE, seconds=None, mono=False))
    find_python()   # before a download
    weights = find_weights(weights)
    vocals = {}
    for separator in ("spleeter", "torch"):
        with open_backend(separator, weights) as backend:
            vocals[separator] = backend(mixture[np.newaxis])[0]
    return {
        "weights": weights,
        "mixture": level(mixture),
        **{separator: level(signal) for separator, signal in vocals.items()},
        **deviation(mixture, vocals["spleeter"], vocals["torch"]),
    }


def deviation(mixture, reference, other):
    """How much two vocals of one clip differ.

    Parameters
    ----------
    mixture, reference, other : ndarray, of one shape
        The clip, and both vocals; the levels are those of `reference`.

    Returns
    -------
    dict
        ``below_vocals``, ``below_mixture`` and ``agrees``, as in `compare_separators`.
    """
    below_vocals, below_mixture = (_height(signal, reference, other) for signal in (reference, mixture))
    return {
        "below_vocals": below_vocals,
        "below_mixture": below_mixture,
        "agrees": max(below_vocals, below_mixture - _HEADROOM) >= AGREEMENT,
    }


def snr(reference, other):
    """Energy of a signal over that of another one's deviation from it, in dB; inf if they are equal.

    Parameters
    ----------
    reference, other : ndarray, of one shape

    Returns
    -------
    float

    Examples
    --------
    >>> round(float(snr(np.array([1.0, -1.0]), np.array([1.1, -1.1]))), 3)
    20.0
    """
    return _height(reference, reference, other)


def _height(signal, reference, other):
    """Level of a signal above that of the difference of two others, in dB; inf if these are equal."""
    difference = np.subtract(reference, other, dtype=np.float64)
    return level(signal) - level(difference) if difference.any() else math.inf


def _levels(*paths):
    return tuple(max(FLOOR, audio.level(audio.load(path, sample_rate=RATE, seconds=None))) for path in paths)
