"""Decode one clip to samples at the recipe's rate, say how loud it is and what is wrong with a file.

One decoder for everything, since decoders differ by a frame. What to do about a bad clip is for others to decide.
"""

import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .recipe import Recipe
from .utils.errors import KitError
from .utils.parallel import parallel_map

_PUBLISHED = Recipe.published()

# A microphone or a converter leaves a mean of some thousandths; from a quarter of full scale on, peaks are cut off.
_LARGEST_OFFSET = 0.25


def load(path, *, sample_rate=_PUBLISHED.sample_rate, seconds=_PUBLISHED.seconds, mono=True):
    """Decode a clip, mix it to mono and resample it (soxr, high quality).

    Parameters
    ----------
    path : path-like
        Anything that libsndfile reads, MP3 included.
    sample_rate : int, in Hz
    seconds : float or None
        How long the clip must be, to the sample of the file's own rate; None takes any length.
    mono : bool
        False keeps the channels apart.

    Returns
    -------
    ndarray, shape (round(seconds * sample_rate),), float32, or with its channels (..., channels)
        Full scale is 1; a decoded MP3 may go a little beyond.

    Raises
    ------
    KitError
        If the file is missing, empty, not audio, of another length, or holds NaN or a constant offset.
    """
    signal, rate, length = _decode(path, seconds)
    expected = length if seconds is None else round(seconds * rate)
    if not length:
        raise KitError(f"{path} holds no sound.")
    if length != expected:
        what = "it is cut short" if length < expected else "it is longer than a clip"
        raise KitError(f"{path} decodes to {length / rate:.3f} s instead of {seconds:g} s ({length} samples): {what}.")
    return from_samples(path, signal, rate, sample_rate=sample_rate, seconds=seconds, mono=mono)


def from_samples(path, signal, rate, *, sample_rate, seconds=None, mono=True):
    """What `load` makes of decoded samples, for those who have decoded them otherwise.

    Parameters
    ----------
    path : path-like
        For the sentences.
    signal : ndarray, shape (samples, channels), float32
    rate : int
        Its own, in Hz.
    sample_rate, seconds, mono
        As in `load`; `seconds` is not checked.

    Raises
    ------
    KitError
        If it holds NaN or a constant offset.
    """
    if not np.isfinite(signal).all():
        raise KitError(f"{path} holds samples that are not numbers (NaN or infinite).")
    offset = float(signal.mean())
    if abs(offset) > _LARGEST_OFFSET:
        raise KitError(f"{path} carries a constant offset of {offset:+.2f} of full scale, which clips it.")
    return _resampled(signal.mean(axis=1) if mono else signal, rate, sample_rate, seconds or len(signal) / rate)


def salvage(path, *, sample_rate=_PUBLISHED.sample_rate, seconds=_PUBLISHED.seconds, mono=True):
    """What can be had of a bad clip: `load` without its checks, cut or filled with zeros; silence if all fails.

    With ``seconds=None`` nothing is cut or filled, and what cannot be decoded has no samples.

    Returns
    -------
    ndarray, shape (round(seconds * sample_rate),), float32, or with its channels (..., channels)
    """
    try:
        signal, rate, _ = _decode(path, seconds)
    except KitError:
        signal, rate = np.zeros((0, 1), np.float32), sample_rate
    signal = np.nan_to_num(signal, nan=0, posinf=0, neginf=0)
    return _resampled(signal.mean(axis=1) if mono else signal, rate, sample_rate, seconds or len(signal) / rate)


def level(signal):
    """Root mean square of a signal in dBFS, decibels below full scale (1); -inf for silence.

    Parameters
    ----------
    signal : ndarray

    Returns
    -------
    float
    """
    power = np.mean(np.square(signal, dtype=np.float64)) if np.size(signal) else 0
    return 10 * math.log10(power) if power else -math.inf


def find_faults(paths, *, seconds=_PUBLISHED.seconds, jobs=-1):
    """Decode every file and report the bad ones.

    Parameters
    ----------
    paths : sequence of path-like
    seconds : float
        As in `load`.
    jobs : int
        Number of processes, as joblib counts them: -1 is one per core.

    Returns
    -------
    dict
        Path to the message that says what is wrong, for the bad clips only.
    """
    faults = parallel_map(_fault, paths, [seconds] * len(paths), jobs=jobs, title="checking clips")
    return {Path(path): fault for fault, path in zip(faults, paths) if fault}


def _fault(path, seconds):
    try:
        load(path, seconds=seconds)
    except KitError as error:
        return str(error)
    return None


def _decode(path, seconds):
    """Samples, shape (samples, channels), of a clip's worth at most, the file's rate, and how many it has in all."""
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise KitError(f"{path} is empty (0 bytes).")
        with open(path, "rb") as stream, soundfile.SoundFile(stream) as file:
            expected = file.frames if seconds is None else round(seconds * file.samplerate)
            # One more than expected, so that a longer file shows, and not all of it: it may be an hour.
            signal = file.read(expected + 1, dtype="float32", always_2d=True)
            # The header of a truncated MP3 still promises the full length: count what was decoded.
            length = len(signal) if len(signal) < expected else max(len(signal), file.frames)
            return signal[:expected], file.samplerate, length
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except soundfile.LibsndfileError as error:
        # libsndfile's own words mislead here ("file does not exist" for a file of 300 bytes).
        raise KitError(f"{path} is not audio that can be decoded, or is damaged inside.") from error


def _resampled(signal, rate, sample_rate, seconds):
    samples = round(seconds * sample_rate)
    if rate != sample_rate and len(signal):
        signal = soxr.resample(signal, rate, sample_rate)
    missing = max(0, samples - len(signal))
    return np.pad(signal[:samples], [(0, missing), *[(0, 0)] * (signal.ndim - 1)])
