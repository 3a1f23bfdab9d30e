"""Log-mel features: pre-emphasis, framing, power spectrum, triangular filters, logarithm.

This module contains the mathematics only. Every function works on one clip or on many (leading axes are kept), and a
batch gives the same numbers as one clip at a time. float32 signals, as they are decoded, are computed in float32, which
takes a third of the time; the result differs by some thousandths of a decibel at most. All others are in float64.
"""

import functools

import numpy as np
import scipy.fft

from .recipe import Recipe
from .utils.errors import KitError

_PUBLISHED = Recipe.published()
_BLOCK = 64     # frames whose spectra are computed at once


def preemphasise(signal, *, coefficient=_PUBLISHED.preemphasis):
    """Emphasise high frequencies: ``y[0] = x[0]``, ``y[t] = x[t] - coefficient * x[t - 1]``.

    This first-order high-pass compensates for the spectral slope of the voice; Rabiner and Schafer, "Digital
    Processing of Speech Signals" (1978).

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
    coefficient : float, 0 to 1

    Returns
    -------
    ndarray, shape (..., samples), float32 or float64

    Examples
    --------
    >>> preemphasise([1.0, 1.0, 0.0], coefficient=0.5)
    array([ 1. ,  0.5, -0.5])
    """
    signal = _floats(signal)
    emphasised = signal.copy()
    emphasised[..., 1:] -= coefficient * signal[..., :-1]
    return emphasised


def count_frames(samples, *, length=_PUBLISHED.frame_length, hop=_PUBLISHED.hop):
    """Number of frames that `frame` makes: ``1 + ceil((samples - length) / hop)``, at least one.

    Examples
    --------
    >>> count_frames(48_000)
    299
    """
    return 1 + max(0, -(-(samples - length) // hop))


def frame(signal, *, length=_PUBLISHED.frame_length, hop=_PUBLISHED.hop):
    """Slice a signal into overlapping frames; the last frame is zero-padded.

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
    length, hop : int, in samples

    Returns
    -------
    ndarray, shape (..., 1 + ceil((samples - length) / hop), length)
        Read-only; a view if no padding was needed.

    Examples
    --------
    >>> frame(np.arange(5), length=3, hop=2)
    array([[0, 1, 2],
           [2, 3, 4]])
    """
    signal = np.asarray(signal)
    frames = count_frames(signal.shape[-1], length=length, hop=hop)
    missing = (frames - 1) * hop + length - signal.shape[-1]
    if missing > 0:
        signal = np.concatenate([signal, np.zeros((*signal.shape[:-1], missing), signal.dtype)], axis=-1)
    return np.lib.stride_tricks.sliding_window_view(signal, length, axis=-1)[..., ::hop, :]


def power_spectrum(frames, *, n_fft=_PUBLISHED.n_fft, window=_PUBLISHED.window):
    """Periodogram of windowed frames: ``|rfft(window * frame, n_fft)|² / n_fft``.

    The windows are the symmetric ones, ``0.54 - 0.46 cos(2πn / (length - 1))`` (Hamming) and
    ``0.5 - 0.5 cos(2πn / (length - 1))`` (Hann), in Blackman and Tukey, "The Measurement of Power Spectra" (1958).

    Parameters
    ----------
    frames : ndarray, shape (..., length), length ≤ n_fft
    n_fft : int, in samples
    window : str
        'hamming' or 'hann'.

    Returns
    -------
    ndarray, shape (..., n_fft // 2 + 1), float32 or float64

    Examples
    --------
    >>> power_spectrum(np.ones((299, 400))).shape
    (299, 513)
    """
    frames, shape = _floats(frames), {"hamming": np.hamming, "hann": np.hanning}[window]
    spectrum = scipy.fft.rfft(frames * shape(frames.shape[-1]).astype(frames.dtype), n_fft)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    power /= n_fft
    return power


def hz_to_mel(hz):
    """Convert Hz to mel: ``2595 log10(1 + hz / 700)``; O'Shaughnessy, "Speech Communication" (1987).

    Examples
    --------
    >>> hz_to_mel([0, 1000, 8000]).round()
    array([   0., 1000., 2840.])
    """
    return 2595 * np.log10(1 + np.asarray(hz, dtype=np.float64) / 700)


def mel_to_hz(mel):
    """Convert mel to Hz, the inverse of `hz_to_mel`: ``700 (10^(mel / 2595) - 1)``.

    Examples
    --------
    >>> mel_to_hz(hz_to_mel([100, 440])).round(6)
    array([100., 440.])
    """
    return 700 * (10 ** (np.asarray(mel, dtype=np.float64) / 2595) - 1)


def mel_corners(
    *, n_mels=_PUBLISHED.n_mels, n_fft=_PUBLISHED.n_fft, sample_rate=_PUBLISHED.sample_rate,
    f_min=_PUBLISHED.f_min, f_max=_PUBLISHED.f_max,
):
    """FFT bins where the mel triangles start, peak and end: ``floor(n_fft · hz / sample_rate)``.

    The corners are evenly spaced on the mel scale from `f_min` to `f_max`. Triangle m spans corners m, m + 1 and m + 2.

    Parameters
    ----------
    n_mels : int
        Number of triangles.
    n_fft : int, in samples
    sample_rate, f_min, f_max : float, in Hz

    Returns
    -------
    ndarray, shape (n_mels + 2,), int64

    Examples
    --------
    >>> mel_corners(n_mels=3)
    array([  0,  39, 113, 251, 512])
    """
    mels = np.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2)
    # Rounding errors of the conversion to mel and back must not move an edge to the bin below.
    bins = np.round(n_fft * mel_to_hz(mels) / sample_rate, 9)
    return np.floor(bins).astype(np.int64)


def mel_triangles(
    *, n_mels=_PUBLISHED.n_mels, n_fft=_PUBLISHED.n_fft, sample_rate=_PUBLISHED.sample_rate,
    f_min=_PUBLISHED.f_min, f_max=_PUBLISHED.f_max,
):
    """Triangular filters evenly spaced in mel, each with a peak of 1 (no area normalisation).

    Davis and Mermelstein, IEEE Transactions on Acoustics, Speech, and Signal Processing 28 (1980), with the parameters
    and corners of `mel_corners`.

    Returns
    -------
    ndarray, shape (n_mels, n_fft // 2 + 1), float64

    Raises
    ------
    KitError
        If a triangle contains no bin, because there are too many bands for the resolution of the FFT.

    Examples
    --------
    >>> mel_triangles(n_mels=2, n_fft=16, sample_rate=1600, f_max=800)
    array([[0.  , 0.5 , 1.  , 0.5 , 0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.  , 0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  ]])
    """
    corners = mel_corners(n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max)
    left, peak, right = (corners[i : i + n_mels, None] for i in range(3))
    empty = np.flatnonzero((left == peak) | (peak == right))
    if len(empty):
        raise KitError(
            f"mel band {empty[0]} of {n_mels} contains no bin of a {n_fft}-point FFT at {sample_rate} Hz. Use fewer "
            "bands (n_mels) or a longer FFT (n_fft)."
        )
    bins = np.arange(n_fft // 2 + 1)
    rising = (bins - left) / (peak - left)
    falling = (right - bins) / (right - peak)
    return np.clip(np.minimum(rising, falling), 0, None)


def log_triangles(*, n_bands, n_fft, sample_rate, f_min, f_max):
    """Triangular filters evenly spaced in log frequency, like the keys of a piano; the weights of each add up to 1.

    Triangle b rises from corner b to b + 1 and falls to b + 2 of ``geomspace(f_min, f_max, n_bands + 2)``. A triangle
    that is narrower than the resolution of the FFT is widened to one bin on either side, so that no band is empty.

    Parameters
    ----------
    n_bands : int
    n_fft : int, in samples
    sample_rate, f_min, f_max : float, in Hz

    Returns
    -------
    ndarray, shape (n_bands, n_fft // 2 + 1), float64

    Examples
    --------
    >>> log_triangles(n_bands=2, n_fft=8, sample_rate=800, f_min=100, f_max=400).round(2)
    array([[0.  , 0.41, 0.59, 0.  , 0.  ],
           [0.  , 0.  , 0.42, 0.58, 0.  ]])
    """
    corners = np.geomspace(f_min, f_max, n_bands + 2)[:, None]
    peak, width = corners[1:-1], sample_rate / n_fft
    left, right = np.minimum(corners[:-2], peak - width), np.maximum(corners[2:], peak + width)
    hz = np.arange(n_fft // 2 + 1) * width
    triangles = np.clip(np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak)), 0, None)
    return triangles / triangles.sum(axis=1, keepdims=True)


def decibels(energy, *, floor=_PUBLISHED.floor):
    """``20 log10(energy)``, with zeros replaced by the float64 machine epsilon (silence is -313.07 dB).

    For energies the factor would be 10. The published solution uses 20, and a network can compensate for a constant
    factor.

    Parameters
    ----------
    energy : ndarray
    floor : float
        Smaller energies are raised to it. With 0, as published, silence is an outlier among music.

    Returns
    -------
    ndarray, same shape as `energy`, float32 or float64

    Examples
    --------
    >>> decibels([0, 0.1, 10]).round(2)
    array([-313.07,  -20.  ,   20.  ])
    """
    energy = _floats(energy)
    return 20 * np.log10(np.maximum(np.where(energy == 0, energy.dtype.type(np.finfo(np.float64).eps), energy), floor))


def log_mel(signal, recipe=_PUBLISHED):
    """Compute log-mel features: all steps of this module in order.

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
        At ``recipe.sample_rate``.
    recipe : Recipe

    Returns
    -------
    ndarray, shape (..., *shape_of(samples, recipe)), float32 or float64, in dB
        (299, 40) for 48,000 samples and the published recipe. The bands of a second spectrum follow those of the first.

    Examples
    --------
    >>> log_mel(np.ones(48_000)).shape
    (299, 40)
    """
    emphasised = preemphasise(signal, coefficient=recipe.preemphasis)
    energy = _band_energy(emphasised, recipe, length=recipe.frame_length, n_fft=recipe.n_fft)
    if recipe.second_n_fft:
        # Longer frames with the same centres, so the signal is padded with silence on both sides.
        missing = recipe.second_n_fft - recipe.frame_length
        padded = np.pad(emphasised, [*[(0, 0)] * (emphasised.ndim - 1), (missing // 2, missing - missing // 2)])
        second = _band_energy(padded, recipe, length=recipe.second_n_fft, n_fft=recipe.second_n_fft)
        energy = np.concatenate([energy, second], axis=-1)
    return pool_frames(decibels(energy, floor=recipe.floor), recipe.pool)


def shape_of(samples, recipe):
    """Frames and columns of `log_mel` for a number of samples.

    Examples
    --------
    >>> shape_of(48_000, Recipe.published())
    (299, 40)
    """
    frames = count_frames(samples, length=recipe.frame_length, hop=recipe.hop)
    return max(1, frames // recipe.pool), recipe.channels * recipe.n_mels


def pool_frames(levels, pool):
    """Average every `pool` consecutive frames into one.

    An incomplete group at the end is dropped, unless it is the only one.

    Parameters
    ----------
    levels : ndarray, shape (..., frames, columns)
    pool : int

    Returns
    -------
    ndarray, shape (..., max(1, frames // pool), columns)

    Examples
    --------
    >>> pool_frames(np.array([[0.0], [2.0], [4.0], [6.0], [8.0]]), 2)
    array([[1.],
           [5.]])
    """
    frames = levels.shape[-2]
    size = min(pool, frames)
    whole = levels[..., : frames // size * size, :]
    return whole.reshape(*levels.shape[:-2], -1, size, levels.shape[-1]).mean(axis=-2) if size > 1 else levels


def _band_energy(signal, recipe, *, length, n_fft):
    frames = frame(signal, length=length, hop=recipe.hop)
    triangles = recipe_triangles(recipe, n_fft=n_fft, dtype=frames.dtype.type).T
    # In blocks: for all frames at once, allocating megabytes per clip takes longer than the arithmetic. A single frame
    # left over joins the block before, because BLAS multiplies a single row in another way, with other last bits (as
    # several threads of BLAS do, too).
    count = frames.shape[-2]
    starts = [start for start in range(0, count, _BLOCK) if start == 0 or start < count - 1]
    return np.concatenate([
        power_spectrum(frames[..., start:end, :], n_fft=n_fft, window=recipe.window) @ triangles
        for start, end in zip(starts, [*starts[1:], count])
    ], axis=-2)


def _floats(values):
    """float32 stays, everything else becomes float64."""
    values = np.asarray(values)
    return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)


@functools.lru_cache(maxsize=4)
def recipe_triangles(recipe, *, n_fft=0, dtype=np.float64):
    """The triangles of a recipe, shape (n_mels, n_fft // 2 + 1), read-only; ``n_fft=0`` means the recipe's own.

    Examples
    --------
    >>> recipe_triangles(Recipe.published()).shape
    (40, 513)
    """
    ends = {"sample_rate": recipe.sample_rate, "f_min": recipe.f_min, "f_max": recipe.f_max}
    n_fft = n_fft or recipe.n_fft
    if recipe.scale == "log":
        triangles = log_triangles(n_bands=recipe.n_mels, n_fft=n_fft, **ends)
    else:
        triangles = mel_triangles(n_mels=recipe.n_mels, n_fft=n_fft, **ends)
    triangles = triangles.astype(dtype)
    triangles.setflags(write=False)     # all callers share the cached array
    return triangles
