"""Separate the vocals of every clip and save them. Existing files are skipped.

With separator "none" nothing is separated, and the features come from the clips.
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

# Share of the mixture's energy (-60 dB) that vocals, and the rest, must exceed unless the weights are faulty.
_NOTHING = 1e-6


def separate(competition, folder, recipe, *, weights="", on_bad="fail", only=None, checked=None, jobs=-1):
    """Check all clips and separate their vocals as the recipe says; what is complete is not made again.

    Parameters
    ----------
    competition : Competition
    folder : path-like
        ``vocals`` in the work folder. The vocals of clip 7 become ``train/7.flac`` or ``test/7.flac``: 44.1 kHz,
        16 bit, mono if the clip is.
    recipe : Recipe
    weights : path-like
        The folder with Spleeter's weights. Empty: those that `find_weights` finds, if vocals are missing.
    on_bad : str
        As in `check_clips`.
    only : collection of int or None
        Separate only the batches with these train clips, for listening before the long run; None for all clips.
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
        As `check_clips` and `find_weights`; if the existing vocals were made with other weights; if the separator
        fails, or its vocals are silent or equal the mixture.
    """
    folder = Path(folder)
    # Report missing weights before the check, which takes minutes.
    ready = require_separator(folder, recipe, weights)
    if recipe.separator == "none":
        return checked or check_clips(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    splits = checked or check_clips(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    if any(_batches(splits, only, 1)):
        with exclusive_task(folder, "separating vocals"):
            _make(folder, splits, only, ready or _ready(recipe), recipe, jobs)
    elif ready:
        record_separation(folder, recipe, checkpoint.fingerprint(ready))
    return tuple(replace(split, weights=recorded_weights(folder, recipe)) for split in splits)


def require_separator(folder, recipe, weights=""):
    """Find the weights and the separator, unless the vocals of the folder were begun; raises as `separate`.

    Returns
    -------
    Path or None
        The folder with the weights.
    """
    if recipe.separator == "none":
        if weights:
            raise KitError("weights are given, but separator is none. Add --set separator=torch, or leave them out.")
        return None
    is_begun = recorded_weights(folder, recipe) is not None     # first: the vocals may have been made otherwise
    return _ready(recipe, weights) if weights or not is_begun else None


@contextmanager
def open_backend(separator, weights, *, fast=False):
    """Open a separation backend. There is no fallback to another backend.

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
        Takes mixtures, ndarray (clips, samples, 2), float32, at `RATE`, and returns the vocals in the same shape. Its
        ``batch`` is the preferred number of three-second clips.

    Raises
    ------
    KitError
        If the weights are missing, damaged or another model's, or the package is not installed.
    """
    # Imported here, so that a complete stage does not wait for torch.
    if separator == "torch":
        with deferred_interrupt():
            from .network import Network

        yield Network(weights, fast=fast)
    else:
        from .package import Package

        with Package(weights) as package:
            yield package


def stereo(signal):
    """Two channels, as Spleeter takes them. A mono channel is repeated; of more than two, the first two are kept.

    Parameters
    ----------
    signal : ndarray, shape (samples, channels)

    Returns
    -------
    ndarray, shape (samples, 2)
    """
    return np.array(np.broadcast_to(signal[:, :2], (len(signal), 2)), order="C")


def _ready(recipe, weights=""):
    """The folder with the weights, after checking them and the separator's installation."""
    if recipe.separator == "spleeter":
        from .package import find_python

        find_python()
    folder = find_weights(weights)
    checkpoint.read(folder)
    return folder


def _make(folder, splits, only, weights, recipe, jobs):
    """Separate the clips whose vocals are missing, batch by batch."""
    fingerprint = checkpoint.fingerprint(weights)
    is_verified = recorded_weights(folder, recipe) == fingerprint
    total = sum(len(split.paths) for split in splits)
    missing = sum(len(_missing(split)) for split in splits)
    with (
        open_backend(recipe.separator, weights, fast=recipe.fast_separation) as backend,
        Parallel(jobs, prefer="threads") as parallel,
        progress(total=total, done=total - missing, title="separating vocals", unit="clip") as bar,
    ):
        for split, ids in _batches(splits, only, max(1, round(backend.batch * 3 / recipe.seconds))):
            loaded = parallel(delayed(_mixture)(split.clips[i], i in split.faults, recipe) for i in ids)
            mixtures = np.stack([stereo(mixture) for mixture in loaded])
            vocals = backend(mixtures)
            where = f"the vocals of {split.clips[ids[0]].name} to {split.clips[ids[-1]].name}"
            is_verified = is_verified or _verify(mixtures, vocals, where)
            if not np.isfinite(vocals).all():
                raise KitError(f"{where} contain NaN or infinity; use full precision (fast_separation=false).")
            record_separation(folder, recipe, fingerprint)  # not before: bad weights must not claim the folder
            new = [(split.paths[i], signal, mixture.shape[1] == 1) for i, signal, mixture in zip(ids, vocals, loaded)
                   if not split.paths[i].exists()]
            parallel(delayed(_write)(*clip) for clip in new)
            bar.update(len(new))


def _missing(split):
    return [i for i, path in split.paths.items() if not path.exists()]


def _batches(splits, only, size):
    """The split and the ids of the clips of each batch."""
    # Batches are cut from all clips, not from the missing ones: the other clips of a batch may change a clip's last
    # bits, and a killed run must end with the same bits.
    for split in splits if only is None else splits[:1]:
        ids, missing = list(split.paths), set(_missing(split))
        wanted = missing if only is None else missing & set(only)
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            if not wanted.isdisjoint(batch):
                yield split, batch


def _mixture(clip, is_bad, recipe):
    """Samples of a clip for the separator, shape (samples, channels)."""
    return audio.load_clip(clip, recipe, is_bad=is_bad, sample_rate=RATE, mono=False)


def _write(path, vocals, mono):
    # Encoded in memory first, so that a full disk raises an OSError instead of one of libsndfile's errors.
    encoded = io.BytesIO()
    soundfile.write(encoded, vocals.mean(axis=1) if mono else vocals, RATE, format="FLAC", subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _verify(mixtures, vocals, where):
    """Refuse the output of faulty weights: silence, or the mixture. Returns False if all clips are silent.

    Only for the first batch with sound: later batches may contain no voice, or only voice.
    """
    energy = _energy(mixtures)
    if energy and _energy(vocals) < _NOTHING * energy:
        raise KitError(f"{where} are silent though the clips are not: the weights are faulty.")
    if energy and _energy(vocals - mixtures) < _NOTHING * energy:
        raise KitError(f"{where} are the clips themselves, unchanged: the weights are faulty.")
    return energy > 0


def _energy(signals):
    """Energy of the frequencies up to 10 kHz; Spleeter removes everything above 11 kHz."""
    spectrum = np.fft.rfft(signals, axis=1)
    return np.square(np.abs(spectrum[:, : round(10_000 / RATE * signals.shape[1]) + 1])).sum()
