"""From samples to features: pre-emphasis, framing, power spectrum, triangles along mel or log frequency, logarithm.

The maths and nothing else: no files, and nothing is kept but the triangles of a recipe. Every function works on one
clip or on many at once (leading axes are kept) and computes in float64, so that a batch gives the same numbers as one
clip at a time.
"""

import functools

import numpy as np

from .recipe import Recipe
from .utils.errors import KitError

_PUBLISHED = Recipe.published()
_FRAMES = 64    # whose spectra are computed at once


def preemphasise(signal, *, coefficient=_PUBLISHED.preemphasis):
    """Lift the high frequencies: ``y[0] = x[0]``, ``y[t] = x[t] - coefficient * x[t - 1]``.

    A first-order high-pass that evens out the fall of the voice's spectrum; Rabiner and Schafer, "Digital
    Processing of Speech Signals" (1978).

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
    coefficient : float, 0 to 1

    Returns
    -------
    ndarray, shape (..., samples), float64
    """
    signal = np.asarray(signal, dtype=np.float64)
    emphasised = signal.copy()
    emphasised[..., 1:] -= coefficient * signal[..., :-1]
    return emphasised


def count_frames(samples, *, length=_PUBLISHED.frame_length, hop=_PUBLISHED.hop):
    """How many frames `frame` makes of so many samples: ``1 + ceil((samples - length) / hop)``, at least one."""
    return 1 + max(0, -(-(samples - length) // hop))


def frame(signal, *, length=_PUBLISHED.frame_length, hop=_PUBLISHED.hop):
    """Cut a signal into overlapping frames; zeros fill the last one.

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
    length, hop : int, in samples

    Returns
    -------
    ndarray, shape (..., 1 + ceil((samples - length) / hop), length)
        A view where no padding was needed; read-only.
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
    ndarray, shape (..., n_fft // 2 + 1), float64
    """
    shape = {"hamming": np.hamming, "hann": np.hanning}[window]
    spectrum = np.fft.rfft(frames * shape(frames.shape[-1]), n_fft)
    return (spectrum.real**2 + spectrum.imag**2) / n_fft


def hz_to_mel(hz):
    """``2595 log10(1 + hz / 700)``; O'Shaughnessy, "Speech Communication" (1987)."""
    return 2595 * np.log10(1 + np.asarray(hz, dtype=np.float64) / 700)


def mel_to_hz(mel):
    """The inverse of `hz_to_mel`: ``700 (10^(mel / 2595) - 1)``."""
    return 700 * (10 ** (np.asarray(mel, dtype=np.float64) / 2595) - 1)


def mel_corners(
    *, n_mels=_PUBLISHED.n_mels, n_fft=_PUBLISHED.n_fft, sample_rate=_PUBLISHED.sample_rate,
    f_min=_PUBLISHED.f_min, f_max=_PUBLISHED.f_max,
):
    """FFT bins at which the mel triangles start, peak and end: ``floor(n_fft · hz / sample_rate)``.

    The corners lie evenly on the mel scale from `f_min` to `f_max`; triangle m spans corners m, m + 1 and m + 2.

    Returns
    -------
    ndarray, shape (n_mels + 2,), int64
    """
    mels = np.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2)
    # The way to mel and back leaves hz a hair beside its true value; an edge that is a bin must stay that bin.
    bins = np.round(n_fft * mel_to_hz(mels) / sample_rate, 9)
    return np.floor(bins).astype(np.int64)


def mel_triangles(
    *, n_mels=_PUBLISHED.n_mels, n_fft=_PUBLISHED.n_fft, sample_rate=_PUBLISHED.sample_rate,
    f_min=_PUBLISHED.f_min, f_max=_PUBLISHED.f_max,
):
    """Triangular filters evenly spaced in mel, each with a peak of 1 (no area normalisation).

    Davis and Mermelstein, IEEE Transactions on Acoustics, Speech, and Signal Processing 28 (1980), with the
    corners of `mel_corners`.

    Returns
    -------
    ndarray, shape (n_mels, n_fft // 2 + 1), float64

    Raises
    ------
    KitError
        If a triangle holds no bin, because there are too many bands for the resolution of the FFT.
    """
    corners = mel_corners(n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max)
    left, peak, right = (corners[i : i + n_mels, None] for i in range(3))
    empty = np.flatnonzero((left == peak) | (peak == right))
    if len(empty):
        raise KitError(
            f"mel band {empty[0]} of {n_mels} holds no bin of a {n_fft}-point FFT at {sample_rate} Hz: "
            "use fewer bands (n_mels) or a longer FFT (n_fft)."
        )
    bins = np.arange(n_fft // 2 + 1)
    rising = (bins - left) / (peak - left)
    falling = (right - bins) / (right - peak)
    return np.clip(np.minimum(rising, falling), 0, None)


def log_triangles(*, n_bands, n_fft, sample_rate, f_min, f_max):
    """Triangular filters evenly spaced in the logarithm of frequency, as the keys of a piano; each has the sum 1.

    Triangle b rises from corner b to b + 1 and falls to b + 2 of ``geomspace(f_min, f_max, n_bands + 2)``.
    Where that is narrower than the FFT resolves, it reaches one bin to either side, so that no band is empty.

    Returns
    -------
    ndarray, shape (n_bands, n_fft // 2 + 1), float64
    """
    corners = np.geomspace(f_min, f_max, n_bands + 2)[:, None]
    peak, width = corners[1:-1], sample_rate / n_fft
    left, right = np.minimum(corners[:-2], peak - width), np.maximum(corners[2:], peak + width)
    hz = np.arange(n_fft // 2 + 1) * width
    triangles = np.clip(np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak)), 0, None)
    return triangles / triangles.sum(axis=1, keepdims=True)


def decibels(energy, *, floor=_PUBLISHED.floor):
    """``20 log10(energy)``, with zeros replaced by the float64 machine epsilon first (so silence is -313.07 dB).

    Twenty times, though these are energies: the published solution does so, and a constant factor changes nothing
    that a network cannot undo.

    Parameters
    ----------
    energy : ndarray
    floor : float
        What lies below counts as so much. 0, as published, leaves the one outlier that silence is among music.
    """
    energy = np.asarray(energy, dtype=np.float64)
    return 20 * np.log10(np.maximum(np.where(energy == 0, np.finfo(np.float64).eps, energy), floor))


def log_mel(signal, recipe=_PUBLISHED):
    """All the steps in their order.

    Parameters
    ----------
    signal : ndarray, shape (..., samples)
        At ``recipe.sample_rate``.
    recipe : Recipe

    Returns
    -------
    ndarray, shape (..., *shape_of(samples, recipe)), float64, in dB
        (299, 40) for 48,000 samples of the published recipe. The bands of a second spectrum stand beside the first's.
    """
    emphasised = preemphasise(signal, coefficient=recipe.preemphasis)
    energy = _band_energy(emphasised, recipe, length=recipe.frame_length, n_fft=recipe.n_fft)
    if recipe.second_n_fft:
        # Longer frames around the same centres: what they lack on either side is silence.
        missing = recipe.second_n_fft - recipe.frame_length
        padding = [(0, 0)] * (emphasised.ndim - 1) + [(missing // 2, missing - missing // 2)]
        length = recipe.second_n_fft
        second = _band_energy(np.pad(emphasised, padding), recipe, length=length, n_fft=length)
        energy = np.concatenate([energy, second], axis=-1)
    return pool_frames(decibels(energy, floor=recipe.floor), recipe.pool)


def shape_of(samples, recipe):
    """Frames and columns that `log_mel` makes of so many samples."""
    frames = count_frames(samples, length=recipe.frame_length, hop=recipe.hop)
    return max(1, frames // recipe.pool), recipe.channels * recipe.n_mels


def pool_frames(levels, pool):
    """Average each `pool` frames into one; what is left over at the end goes, unless there is nothing else.

    Parameters
    ----------
    levels : ndarray, shape (..., frames, columns)
    pool : int

    Returns
    -------
    ndarray, shape (..., max(1, frames // pool), columns)
    """
    frames = levels.shape[-2]
    size = min(pool, frames)
    whole = levels[..., : frames // size * size, :]
    return whole.reshape(*levels.shape[:-2], -1, size, levels.shape[-1]).mean(axis=-2) if size > 1 else levels


def _band_energy(signal, recipe, *, length, n_fft):
    frames = frame(signal, length=length, hop=recipe.hop)
    triangles = recipe_triangles(recipe, n_fft=n_fft).T
    # A spectrum of all frames at once would be megabytes, which the system gives and takes back for every clip: that
    # takes longer than the sums. A single frame that is left over goes with those before: alone it would be multiplied
    # otherwise, and have other last bits (as with several threads of BLAS all have).
    count = frames.shape[-2]
    starts = [start for start in range(0, count, _FRAMES) if start == 0 or start < count - 1]
    return np.concatenate([
        power_spectrum(frames[..., start:end, :], n_fft=n_fft, window=recipe.window) @ triangles
        for start, end in zip(starts, [*starts[1:], count])
    ], axis=-2)


@functools.lru_cache(maxsize=4)
def recipe_triangles(recipe, *, n_fft=0):
    """The triangles of a recipe, shape (n_mels, n_fft // 2 + 1), read-only; `n_fft` 0 is the recipe's own."""
    ends = {"sample_rate": recipe.sample_rate, "f_min": recipe.f_min, "f_max": recipe.f_max}
    n_fft = n_fft or recipe.n_fft
    if recipe.scale == "log":
        triangles = log_triangles(n_bands=recipe.n_mels, n_fft=n_fft, **ends)
    else:
        triangles = mel_triangles(n_mels=recipe.n_mels, n_fft=n_fft, **ends)
    triangles.setflags(write=False)     # the same array for all who ask
    return triangles
