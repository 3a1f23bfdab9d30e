"""The stage between clips and features: every clip's vocals on the disk, those that are there already left alone.

With separator "none" nothing is written but what was found out about the clips, and the features read the clips.
"""

import io
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from joblib import Parallel, delayed

from .. import audio
from ..utils.errors import KitError
from ..utils.lock import deferred_interrupt, exclusive_task
from ..utils.progress import progress
from ..utils.storage import replacing
from . import checkpoint
from .clips import check_clips, record_separation, recorded_weights
from .weights import find_weights

RATE = 44_100   # Hz, the sample rate that Spleeter was trained on

# A part of the mixture's energy so small that only a fault leaves no more, or takes no more away: -60 dB.
_NOTHING = 1e-6


def separate(competition, folder, recipe, *, weights="", on_bad="fail", only=None, checked=None, jobs=-1):
    """Check all clips and separate their vocals as the recipe says; what is done already is not done again.

    Parameters
    ----------
    competition : Competition
    folder : path-like
        ``vocals`` in the work folder. The vocals of clip 7 become ``train/7.flac`` or ``test/7.flac`` in it: 44.1 kHz,
        16 bit, mono if the clip is.
    recipe : Recipe
    weights : path-like
        The folder with Spleeter's weights. Empty: wherever `find_weights` finds them, if vocals are missing.
    on_bad : str
        As in `check_clips`.
    only : collection of int or None
        Train clips to begin with, to listen to before hours go into the others; None for all clips.
    checked : tuple of two Sources, or None
        What `check_clips` returned for these clips, to save checking them again.
    jobs : int
        Processes (for the check) and threads (for reading and writing), as joblib counts them.

    Returns
    -------
    train, test : Sources

    Raises
    ------
    KitError
        As `check_clips` and `find_weights` do; if the vocals there were made with other weights; if the separator
        fails, or its vocals are the mixture or nothing.
    """
    folder = Path(folder)
    if recipe.separator == "none":
        if weights:
            raise KitError("weights are given, but separator is none: add --set separator=torch, or leave them out.")
        return checked or check_clips(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    is_begun = recorded_weights(folder, recipe) is not None
    # What is not there had better be known before minutes go into checking clips.
    found = _ready(recipe, weights) if weights or not is_begun else None
    splits = checked or check_clips(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    if any(_batches(splits, only, 1)):
        with exclusive_task(folder, "separating vocals"):
            _make(folder, splits, only, found or _ready(recipe), recipe, jobs)
    elif found:
        record_separation(folder, recipe, checkpoint.fingerprint(found))
    return tuple(replace(split, weights=recorded_weights(folder, recipe)) for split in splits)


@contextmanager
def open_backend(separator, weights, *, fast=False):
    """Make a backend ready.

    Parameters
    ----------
    separator : str
        'torch', the kit's own network, or 'spleeter', the package itself.
    weights : path-like
        The folder with Spleeter's weights.
    fast : bool
        As in `network.Network`.

    Yields
    ------
    callable

    Raises
    ------
    KitError
        If the weights are missing, damaged or another model's, or the package is not installed.
    """
    # Imported here: what is complete need wait neither for torch, which no process can load twice, nor for TensorFlow.
    if separator == "torch":
        with deferred_interrupt():
            from .network import Network

        yield Network(weights, fast=fast)
    else:
        from .package import Package

        with Package(weights) as package:
            yield package


def stereo(signal):
    """Two channels, as Spleeter takes them: a single one twice, of more the first two.

    Parameters
    ----------
    signal : ndarray, shape (samples, channels)

    Returns
    -------
    ndarray, shape (samples, 2)
    """
    return np.array(np.broadcast_to(signal[:, :2], (len(signal), 2)), order="C")


def _ready(recipe, weights=""):
    """The folder with the weights, which are whole, and a separator that is installed."""
    if recipe.separator == "spleeter":
        from .package import find_python

        find_python()
    found = find_weights(weights)
    checkpoint.read(found)
    return found


def _make(folder, splits, only, weights, recipe, jobs):
    """Separate the clips whose vocals are not there, batch by batch."""
    fingerprint = checkpoint.fingerprint(weights)
    is_proved = recorded_weights(folder, recipe) == fingerprint
    total = sum(len(split.paths) for split in splits)
    missing = sum(len(_missing(split)) for split in splits)
    with (
        open_backend(recipe.separator, weights, fast=recipe.fast_separation) as backend,
        Parallel(jobs, prefer="threads") as parallel,
        progress(total=total, done=total - missing, title="separating vocals", unit="clip") as bar,
    ):
        for split, ids in _batches(splits, only, max(1, round(backend.batch * 3 / recipe.seconds))):
            loaded = parallel(delayed(_mixture)(split.clips[i], i in split.faults, recipe) for i in ids)
            mixtures = np.stack([stereo(each) for each in loaded])
            vocals = backend(mixtures)
            where = f"the vocals of {split.clips[ids[0]].name} to {split.clips[ids[-1]].name}"
            is_proved = is_proved or _prove(mixtures, vocals, where)
            if not np.isfinite(vocals).all():
                raise KitError(f"{where} contain NaN or infinity; half precision may be too small for them.")
            record_separation(folder, recipe, fingerprint)  # not before: bad weights must not claim the folder
            wanted = [(i, each, own) for i, each, own in zip(ids, loaded, vocals) if not split.paths[i].exists()]
            parallel(delayed(_write)(split.paths[i], own, each.shape[1] == 1) for i, each, own in wanted)
            bar.update(len(wanted))


def _missing(split):
    return [i for i, path in split.paths.items() if not path.exists()]


def _batches(splits, only, size):
    """Ids of the clips to be separated at once, with the split that they belong to."""
    # Cut from all clips, not from those that are missing: which clips a clip shares its batch with may change its
    # last bits, and a run that was killed has to end with the same ones.
    for split in splits if only is None else splits[:1]:
        ids, missing = list(split.paths), set(_missing(split))
        wanted = missing if only is None else missing & set(only)
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            if not wanted.isdisjoint(batch):
                yield split, batch


def _mixture(clip, is_bad, recipe):
    """Samples of a clip as the separator wants them, shape (samples, channels)."""
    return (audio.salvage if is_bad else audio.load)(clip, sample_rate=RATE, seconds=recipe.seconds, mono=False)


def _write(path, vocals, mono):
    # Encoded in memory first: a full disk then speaks as an OSError, not in libsndfile's words.
    encoded = io.BytesIO()
    soundfile.write(encoded, vocals.mean(axis=1) if mono else vocals, RATE, format="FLAC", subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _prove(mixtures, vocals, where):
    """Refuse what a separator gives that lost its weights: silence, or the mixture. False if there is nothing to judge.

    For the first sound alone: later on a few clips may well be without any voice, or without anything else.
    """
    energy = np.square(_heard(mixtures)).sum()
    if not energy:
        return False
    if np.square(_heard(vocals)).sum() < _NOTHING * energy:
        raise KitError(f"{where} are silent though the clips are not: something is wrong with the weights.")
    if np.square(_heard(vocals - mixtures)).sum() < _NOTHING * energy:
        raise KitError(f"{where} are the clips themselves, unchanged: something is wrong with the weights.")
    return True


def _heard(signals):
    """Magnitudes of the frequencies up to 10 kHz: a little above, Spleeter takes everything away."""
    spectrum = np.fft.rfft(signals, axis=1)
    return np.abs(spectrum[:, : round(10_000 / RATE * signals.shape[1]) + 1])
