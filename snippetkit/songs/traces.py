"""Traces of a single clip: how its ends continue, how it sounds as a whole, its level and its content."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np

from .. import audio
from ..utils.parallel import parallel_map

RATE = 44_100           # Hz; the clips' own, because resampling would smear the ends
AHEAD = 500             # samples (11 ms) that are predicted beyond each end
_EDGE, _ORDER = 4096, 512       # samples and coefficients of a linear prediction
_SILENCE = 1e-4         # amplitude (full scale is 1) below which nothing is predicted
_N_FFT, _BANDS = 4096, 128      # of the long-term spectrum
_HOP = RATE // 100      # of the rhythm: 10 ms
_LAGS = slice(20, 200)  # hops: beats between 0.2 and 2 s, so 30 to 300 a minute
_LOWEST_LEVEL = -200.0  # dBFS, reported for digital silence
_SILENT = -100.0        # dBFS, below the last of 16 bits: the clip has no song, and is no duplicate


@dataclass(frozen=True)
class Traces:
    """The traces of many clips.

    Attributes
    ----------
    head, tail : ndarray, shape (clips, AHEAD), float32
        The first and the last samples.
    onward, backward : ndarray, shape (clips, AHEAD), float32
        Samples predicted after the end, and before the beginning.
    sound : ndarray, shape (clips, numbers), float32
        Levels of the long-term spectrum, chroma and rhythm.
    level : ndarray, shape (clips,), float64
        Root mean square in dBFS, at least -200.
    content : ndarray, shape (clips,), str
        Twelve hexadecimal digits that are equal for clips of equal samples; empty for silence.
    """

    head: np.ndarray
    tail: np.ndarray
    onward: np.ndarray
    backward: np.ndarray
    sound: np.ndarray
    level: np.ndarray
    content: np.ndarray

    def __len__(self):
        return len(self.sound)

    def of(self, clips):
        """The traces of some of the clips: ndarray of int."""
        return Traces(*(getattr(self, field.name)[clips] for field in fields(self)))


def trace_clips(paths, *, jobs=-1):
    """Traces of many clips, in their order. Each clip is decoded once.

    Parameters
    ----------
    paths : sequence of Path
        May include bad clips: what can be salvaged of them is used.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Traces
    """
    traces = parallel_map(_trace_file, paths, jobs=jobs, title="describing clips", batch_size=32)
    return Traces(*(np.stack(values) for values in zip(*traces)))


def trace(signal):
    """The traces of one clip.

    Parameters
    ----------
    signal : ndarray, shape (samples,), at `RATE`

    Returns
    -------
    tuple
        Values of the attributes of `Traces` for this clip.
    """
    level = max(audio.level(signal), _LOWEST_LEVEL)
    content = hashlib.sha256(signal.tobytes()).hexdigest()[:12] if level > _SILENT else ""
    # An empty clip is replaced by a tenth of a second of silence.
    signal = np.pad(signal, (0, max(0, RATE // 10 - len(signal))))
    before, after = signal[:_EDGE].astype(np.float64), signal[-_EDGE:].astype(np.float64)
    arrays = signal[:AHEAD], signal[-AHEAD:], extrapolate(after), extrapolate(before[::-1])[::-1], _sound(signal)
    return *(np.asarray(array, np.float32) for array in arrays), level, content


def extrapolate(edge):
    """Continue a signal by linear prediction (Burg's method, `librosa.lpc`).

    The order is high because over 11 ms single partials must continue in phase, not only the spectral envelope.

    Parameters
    ----------
    edge : ndarray, shape (samples,), float64

    Returns
    -------
    ndarray, shape (AHEAD,), float64
        Zeros after silence.
    """
    import librosa
    import scipy.signal

    if np.abs(edge).max() < _SILENCE:
        return np.zeros(AHEAD)
    # Burg's recursion would divide by zero for a tone without noise.
    noise = 1e-6 * np.random.default_rng(0).standard_normal(len(edge))
    coefficients = librosa.lpc(edge + noise, order=_ORDER)
    memory = scipy.signal.lfiltic([1.0], coefficients, edge[: -_ORDER - 1 : -1])
    return scipy.signal.lfilter([1.0], coefficients, np.zeros(AHEAD), zi=memory)[0]


def _trace_file(path):
    return trace(audio.salvage(path, sample_rate=RATE, seconds=None))


def _sound(signal):
    """Long-term spectrum (mean, quantiles, deviation, change of each band), chroma in thirds of a semitone, rhythm."""
    import librosa

    power, bands = _mel_levels(signal, n_fft=_N_FFT, hop=_N_FFT // 2, bands=_BANDS, f_min=30)
    movement = np.abs(np.diff(bands, axis=1)).mean(axis=1) if bands.shape[1] > 1 else np.zeros(_BANDS)
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=_N_FFT, tuning=0.0, n_chroma=36).mean(axis=1)
    quantiles = np.percentile(bands, [10, 90], axis=1)
    return np.concatenate([
        bands.mean(axis=1), *quantiles, bands.std(axis=1), movement, np.log(chroma + 0.05), _rhythm(signal),
    ])


def _rhythm(signal):
    """Autocorrelation of the onset strength at the lags of beats: tempo and pattern."""
    _, levels = _mel_levels(signal, n_fft=1024, hop=_HOP, bands=40, f_min=0, floor=1e-8)
    onsets = np.maximum(np.diff(levels, axis=1), 0).mean(axis=0)
    onsets -= onsets.mean()
    likeness = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :]
    likeness = np.pad(likeness, (0, max(0, _LAGS.stop - len(likeness))))
    return likeness[_LAGS] / (likeness[0] + 1e-9)


def _mel_levels(signal, *, n_fft, hop, bands, f_min, floor=1e-10):
    """The power spectrum of each frame, and the levels of mel bands in decibels."""
    import librosa

    power = np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=hop, center=False)) ** 2
    weights = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=bands, fmin=f_min, fmax=RATE / 2, norm=None)
    return power, 10 * np.log10(weights @ power + floor)
