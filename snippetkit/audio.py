"""Decode a clip to samples at the recipe's sample rate, measure its level, and report damaged files.

The kit uses one decoder everywhere, because decoders differ by a frame. The callers decide what to do with a bad clip.
"""

import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .recipe import Recipe
from .utils.errors import KitError, report_os_error
from .utils.parallel import parallel_map

_PUBLISHED = Recipe.published()

# A microphone or a converter causes an offset of some thousandths. Above a quarter of full scale, peaks are clipped.
_MAX_OFFSET = 0.25


def load(path, *, sample_rate=_PUBLISHED.sample_rate, seconds=_PUBLISHED.seconds, mono=True):
    """Decode a clip, mix it to mono and resample it (soxr, high quality).

    Parameters
    ----------
    path : path-like
        Any format that libsndfile reads, including MP3.
    sample_rate : int, in Hz
    seconds : float or None
        The required duration, exact to a sample at the file's own rate; None accepts any duration.
    mono : bool
        False keeps the channels.

    Returns
    -------
    ndarray, shape (round(seconds * sample_rate),) or, with mono=False, (..., channels), float32
        Full scale is 1; a decoded MP3 may exceed it slightly.

    Raises
    ------
    KitError
        If the file is missing, empty or not audio, has another duration, or contains NaN or a constant offset.
    """
    signal, rate, length = _decode(path, seconds)
    expected = length if seconds is None else round(seconds * rate)
    if not length:
        raise KitError(f"{path} contains no sound.")
    if length != expected:
        fault = "It is cut short." if length < expected else "It is longer than a clip."
        raise KitError(f"{path} decodes to {length / rate:.3f} s instead of {seconds:g} s ({length} samples). {fault}")
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
        If the signal contains NaN, infinite values or a constant offset.

    Examples
    --------
    >>> from_samples("tone.wav", np.zeros((22_050, 2), np.float32), 22_050, sample_rate=16_000).shape
    (16000,)
    """
    if not np.isfinite(signal).all():
        raise KitError(f"{path} contains samples that are NaN or infinite.")
    offset = float(signal.mean())
    if abs(offset) > _MAX_OFFSET:
        raise KitError(f"{path} has a constant offset of {offset:+.2f} of full scale, so it is clipped.")
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
        signal, rate, _ = _decode(path, seconds)
    except KitError:
        signal, rate = np.zeros((0, 1), np.float32), sample_rate
    return _resample(np.nan_to_num(signal, nan=0, posinf=0, neginf=0), rate, sample_rate, seconds, mono)


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


def find_faults(paths, *, seconds=_PUBLISHED.seconds, jobs=-1):
    """Decode every file and report the bad clips.

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
        Path to message, for the bad clips only.
    """
    faults = parallel_map(_fault, paths, [seconds] * len(paths), jobs=jobs, title="checking clips")
    return {Path(path): fault for fault, path in zip(faults, paths) if fault}


def _fault(path, seconds):
    """What is wrong with a clip; None if nothing is."""
    try:
        load(path, seconds=seconds)
    except KitError as error:
        return str(error)


def _decode(path, seconds):
    """At most one clip of samples, shape (samples, channels); the file's rate; and its full length in samples."""
    path = Path(path)
    try:
        with report_os_error(f"{path} cannot be read"), open(path, "rb") as stream:
            if path.stat().st_size == 0:
                raise KitError(f"{path} is empty (0 bytes).")
            with soundfile.SoundFile(stream) as file:
                expected = file.frames if seconds is None else round(seconds * file.samplerate)
                # One sample more than expected, to notice a longer file; not all of it, because it may be an hour long.
                signal = file.read(expected + 1, dtype="float32", always_2d=True)
                # The header of a truncated MP3 still states the full length, so count the decoded samples.
                length = len(signal) if len(signal) < expected else max(len(signal), file.frames)
                return signal[:expected], file.samplerate, length
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
