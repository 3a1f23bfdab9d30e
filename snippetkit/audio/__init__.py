"""Decode a clip to samples at the recipe's sample rate, measure its level, and report damaged files.

The kit uses one decoder everywhere, because decoders differ by a frame. The callers decide what to do with a bad clip.
"""

import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..recipe import Recipe
from ..utils.errors import KitError, report_os_error
from ..utils.parallel import parallel_map
from .decoding import decode

TOLERANCE = 0.1     # seconds that a clip is cut or padded at most; an encoder may add some hundredths

_PUBLISHED = Recipe.published()

# A microphone or a converter causes an offset of some thousandths. Above a quarter of full scale, peaks are clipped.
_MAX_OFFSET = 0.25

# Far above any scale that is in use: 32-bit integers reach 2e9. The square of much larger samples would overflow.
_MAX_PEAK = 1e10


def load(path, *, sample_rate=_PUBLISHED.sample_rate, seconds=_PUBLISHED.seconds, length="strict", mono=True):
    """Decode a clip, mix it to mono and resample it (soxr, high quality).

    Parameters
    ----------
    path : path-like
        Any format that libsndfile reads, including MP3.
    sample_rate : int, in Hz
    seconds : float or None
        The required duration; None accepts any.
    length : str
        'strict' requires the duration exactly, to a sample at the file's own rate. 'fit' cuts or pads the end of a clip
        that differs by `TOLERANCE` at most, 'any' that of every clip.
    mono : bool
        False keeps the channels.

    Returns
    -------
    ndarray, shape (round(seconds * sample_rate),) or, with mono=False, (..., channels), float32
        Full scale is 1; a decoded MP3 may exceed it slightly.

    Raises
    ------
    KitError
        If the file is missing, empty or not audio, has another duration, or contains NaN, huge samples or a constant
        offset.
    """
    signal, rate, _ = _decode_clip(path, seconds, length)
    return from_samples(path, signal, rate, sample_rate=sample_rate, seconds=seconds, mono=mono)


def from_samples(path, signal, rate, *, sample_rate, seconds=None, mono=True):
    """Do what `load` does after decoding, for samples that another program decoded.

    Parameters
    ----------
    path : path-like
        Named in error messages.
    signal : ndarray, shape (samples, channels), float32
    rate : int
        Sample rate of the signal in Hz.
    sample_rate, seconds, mono
        As in `load`; `seconds` is not checked.

    Raises
    ------
    KitError
        If the signal contains NaN, infinite or huge values or a constant offset.

    Examples
    --------
    >>> from_samples("tone.wav", np.zeros((22_050, 2), np.float32), 22_050, sample_rate=16_000).shape
    (16000,)
    """
    _require_sane(path, signal)
    return _resample(signal, rate, sample_rate, seconds, mono)


def salvage(path, *, sample_rate=_PUBLISHED.sample_rate, seconds=_PUBLISHED.seconds, mono=True):
    """Decode as much as possible of a bad clip: `load` without its checks.

    The result is cut or padded with zeros to the duration; it is silence if the file cannot be decoded. With
    ``seconds=None`` it is neither cut nor padded, and it is empty if the file cannot be decoded.

    Returns
    -------
    ndarray, shape (round(seconds * sample_rate),) or, with mono=False, (..., channels), float32

    Examples
    --------
    >>> salvage("no such file.mp3").shape
    (48000,)
    """
    try:
        signal, rate = _decode(path, seconds)
    except KitError:
        signal, rate = np.zeros((0, 1), np.float32), sample_rate
    return _resample(np.where(np.abs(signal) <= _MAX_PEAK, signal, 0), rate, sample_rate, seconds, mono)


def load_clip(path, recipe, *, is_bad, sample_rate=None, mono=True):
    """Decode a clip of a data set: `load` with the recipe's choices, or `salvage` if it is known to be bad.

    Parameters
    ----------
    path : path-like
    recipe : Recipe
    is_bad : bool
    sample_rate : int or None
        In Hz; None is the recipe's.
    mono : bool

    Returns
    -------
    ndarray
        As `load`.

    Raises
    ------
    KitError
        As `load`, unless the clip is known to be bad.
    """
    size = {"sample_rate": sample_rate or recipe.sample_rate, "seconds": recipe.seconds, "mono": mono}
    return salvage(path, **size) if is_bad else load(path, **size, length=recipe.length)


def level(signal):
    """Root mean square of a signal in dBFS, decibels below full scale (1); -inf for silence.

    Parameters
    ----------
    signal : ndarray

    Returns
    -------
    float

    Examples
    --------
    >>> level([0.1, -0.1])
    -20.0
    """
    power = np.mean(np.square(signal, dtype=np.float64)) if np.size(signal) else 0
    return 10 * math.log10(power) if power else -math.inf


def find_faults(paths, *, seconds=_PUBLISHED.seconds, length="strict", jobs=-1):
    """Decode every file and report the bad clips, and those that `load` cuts or pads.

    Parameters
    ----------
    paths : sequence of path-like
    seconds, length
        As in `load`.
    jobs : int
        Number of processes, as joblib counts them: -1 is one per core.

    Returns
    -------
    faults : dict
        Path to message, for the bad clips only.
    excess : dict
        Path to seconds, for the clips that are cut (positive) or padded (negative).
    """
    def check(path):
        try:
            signal, _, excess = _decode_clip(path, seconds, length)
            _require_sane(path, signal)
        except KitError as error:
            return str(error), 0
        return "", excess

    checks = dict(zip(map(Path, paths), parallel_map(check, paths, jobs=jobs, title="checking clips")))
    return tuple({path: values[k] for path, values in checks.items() if values[k]} for k in (0, 1))


def _require_sane(path, signal):
    if not (np.abs(signal) <= _MAX_PEAK).all():
        raise KitError(f"{path} contains samples that are NaN, infinite or above {_MAX_PEAK:g}.")
    offset = float(signal.mean())
    if abs(offset) > _MAX_OFFSET:
        raise KitError(f"{path} has a constant offset of {offset:+.2f} of full scale, so it is clipped.")


def _decode_clip(path, seconds, length):
    """Samples, cut but not padded; the file's rate; and the seconds by which the clip is too long."""
    signal, rate = _decode(path, seconds)
    if not len(signal):
        raise KitError(f"{path} contains no sound.")
    expected = len(signal) if seconds is None else round(seconds * rate)
    excess = (len(signal) - expected) / rate
    if excess and (length == "strict" or length == "fit" and abs(excess) > TOLERANCE):
        fault = "It is cut short." if excess < 0 else "It is longer than a clip."
        duration = f"{len(signal) / rate:.3f} s instead of {seconds:g} s ({len(signal)} samples)"
        if excess > TOLERANCE:      # decoded no further
            duration = f"more than {seconds + TOLERANCE:g} s instead of {seconds:g} s"
        raise KitError(f"{path} decodes to {duration}. {fault}")
    return signal[:expected], rate, excess


def _decode(path, seconds):
    """Samples, shape (samples, channels), of a clip and a little more, to notice a longer one; and the file's rate."""
    path = Path(path)
    try:
        with report_os_error(f"{path} cannot be read"), open(path, "rb") as stream:
            if path.stat().st_size == 0:
                raise KitError(f"{path} is empty (0 bytes).")
            return decode(stream, seconds and seconds + 1.5 * TOLERANCE)
    except soundfile.LibsndfileError as error:
        # libsndfile's own message is misleading ("file does not exist" for a file of 300 bytes).
        raise KitError(f"{path} is not audio that can be decoded, or is damaged inside.") from error


def _resample(signal, rate, sample_rate, seconds, mono):
    samples = round((seconds or len(signal) / rate) * sample_rate)
    signal = signal.mean(axis=1) if mono else signal
    if rate != sample_rate and len(signal):
        signal = soxr.resample(signal, rate, sample_rate)
    missing = max(0, samples - len(signal))
    return np.pad(signal[:samples], [(0, missing), *[(0, 0)] * (signal.ndim - 1)])
