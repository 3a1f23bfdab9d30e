"""The stage between clips and features: every clip's vocals on the disk, those that are there already left alone.

With separator "none" nothing is written but the list of bad clips, and the features read the clips themselves.
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from joblib import Parallel, delayed

from .. import audio
from ..errors import KitError
from ..progress import progress
from ..storage import replacing
from . import checkpoint
from .backends import RATE, open_backend, stereo
from .sources import check, claim, separated_with
from .weights import find_weights

# A part of the mixture's energy so small that only a fault leaves no more, or takes no more away: -60 dB.
_NOTHING = 1e-6


def separate(competition, folder, recipe, *, weights="", on_bad="fail", jobs=-1):
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
        As in `sources.check`.
    jobs : int
        Processes (for the check) and threads (for reading and writing), as joblib counts them.

    Returns
    -------
    train, test : Sources

    Raises
    ------
    KitError
        As `sources.check` and `find_weights` do; if the vocals there were made with other weights; if the separator
        fails, or its vocals are the mixture or nothing.
    """
    folder = Path(folder)
    if recipe.separator == "none":
        return check(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    # That there are no weights had better be known before minutes go into checking clips.
    found = find_weights(weights) if weights or not separated_with(folder, recipe) else None
    splits = check(competition, folder, recipe, on_bad=on_bad, jobs=jobs)
    missing = sum(not path.exists() for split in splits for path in split.paths.values())
    if missing:
        _make(folder, splits, missing, found or find_weights(), recipe, jobs)
    elif found:
        claim(folder, recipe, checkpoint.fingerprint(found))
    return tuple(replace(split, weights=separated_with(folder, recipe)) for split in splits)


def _make(folder, splits, missing, weights, recipe, jobs):
    """Separate the clips whose vocals are not there, batch by batch."""
    total = sum(len(split.paths) for split in splits)
    is_first = True
    with (
        open_backend(recipe.separator, weights, fast=recipe.fast_separation) as backend,
        Parallel(jobs, prefer="threads") as parallel,
        progress(total=total, done=total - missing, title="separating vocals", unit="clip") as bar,
    ):
        for split in splits:
            for ids in _incomplete_batches(split, backend.batch):
                loaded = parallel(delayed(_mixture)(split.clips[i], i in split.faults, recipe) for i in ids)
                mixtures = np.stack([stereo(each) for each in loaded])
                vocals = backend(mixtures)
                _refuse_nonsense(mixtures, vocals, [split.clips[i] for i in ids], is_first=is_first)
                if is_first:  # and not before: weights that are no good must not claim the folder
                    claim(folder, recipe, checkpoint.fingerprint(weights))
                    is_first = False
                wanted = [(i, each, own) for i, each, own in zip(ids, loaded, vocals) if not split.paths[i].exists()]
                parallel(delayed(_write)(split.paths[i], own, each.shape[1] == 1) for i, each, own in wanted)
                bar.update(len(wanted))


def _incomplete_batches(split, size):
    # Cut from all clips, not from those that are missing: which clips a clip shares its batch with may change its
    # last bits, and a run that was killed has to end with the same ones.
    ids = list(split.paths)
    for start in range(0, len(ids), size):
        batch = ids[start : start + size]
        if not all(split.paths[i].exists() for i in batch):
            yield batch


def _mixture(clip, is_bad, recipe):
    """Samples of a clip as the separator wants them, shape (samples, channels)."""
    return (audio.salvage if is_bad else audio.load)(clip, sample_rate=RATE, seconds=recipe.seconds, mono=False)


def _write(path, vocals, mono):
    # Encoded in memory first: a full disk then speaks as an OSError, not in libsndfile's words.
    encoded = io.BytesIO()
    soundfile.write(encoded, vocals.mean(axis=1) if mono else vocals, RATE, format="FLAC", subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _refuse_nonsense(mixtures, vocals, clips, *, is_first):
    """What a separator that lost its weights gives: the mixture, or silence, or no numbers.

    A single batch later on may well be without any voice, so only the first one has to show that there is work done.
    """
    where = f"the separator's vocals of {clips[0].name} to {clips[-1].name}"
    if not np.isfinite(vocals).all():
        raise KitError(f"{where} hold what is no number; if fast_separation is on, switch it off, then run again.")
    energy = np.square(_heard(mixtures)).sum()
    if not is_first or not energy:
        return
    if np.square(_heard(vocals)).sum() < _NOTHING * energy:
        raise KitError(f"{where} are silent though the clips are not: something is wrong with the weights.")
    if np.square(_heard(vocals - mixtures)).sum() < _NOTHING * energy:
        raise KitError(f"{where} are the clips themselves, unchanged: something is wrong with the weights.")


def _heard(signals):
    """Magnitudes of the frequencies up to 10 kHz: a little above, Spleeter takes everything away."""
    spectrum = np.fft.rfft(signals, axis=1)
    return np.abs(spectrum[:, : round(10_000 / RATE * signals.shape[1]) + 1])
