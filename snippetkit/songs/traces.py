"""What a clip gives away about its song: how its ends go on, and how it sounds as a whole.

One clip at a time; what clips have in common is found elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from .. import audio
from ..utils.progress import progress

RATE = 44_100           # Hz; the clips' own, since resampling would smear the ends
AHEAD = 500             # samples (11 ms) that are predicted beyond an end
_EDGE, _ORDER = 4096, 512       # samples that a prediction learns from, and its coefficients
_SILENCE = 1e-4         # full scale is 1: what never exceeds it cannot be predicted
_N_FFT, _BANDS = 4096, 128      # of the long-term spectrum
_HOP = RATE // 100      # of the rhythm: 10 ms
_LAGS = slice(20, 200)  # hops: beats between 0.2 and 2 s, so 30 to 300 a minute
_BLOCK = 32             # clips that one process looks at at once


@dataclass(frozen=True)
class Traces:
    """The traces of many clips.

    Attributes
    ----------
    head, tail : ndarray, shape (clips, AHEAD), float32
        The first and the last samples.
    onward, backward : ndarray, shape (clips, AHEAD), float32
        What the last samples predict to come next, and the first ones to have been before.
    sound : ndarray, shape (clips, numbers), float32
        Levels of the long-term spectrum, chroma and rhythm.
    """

    head: np.ndarray
    tail: np.ndarray
    onward: np.ndarray
    backward: np.ndarray
    sound: np.ndarray

    def __len__(self):
        return len(self.sound)

    def of(self, clips):
        """The traces of some of the clips: ndarray of int."""
        return Traces(self.head[clips], self.tail[clips], self.onward[clips], self.backward[clips], self.sound[clips])


def listen(paths, *, jobs=-1):
    """Traces of many clips, in their order.

    Parameters
    ----------
    paths : sequence of Path
        Bad clips may be among them: what can be salvaged is used.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Traces
    """
    blocks = [paths[start : start + _BLOCK] for start in range(0, len(paths), _BLOCK)]
    waiting = Parallel(jobs, return_as="generator")(delayed(_listen_to)(block) for block in blocks)
    found = []
    with progress(total=len(paths), title="listening for songs", unit="clip") as bar:
        for traces in waiting:
            found += traces
            bar.update(len(traces))
    return Traces(*(np.stack(each) for each in zip(*found)))


def trace(signal):
    """The traces of one clip.

    Parameters
    ----------
    signal : ndarray, shape (samples,), at `RATE`
        At least 0.1 s long.

    Returns
    -------
    tuple of ndarray
        As the attributes of `Traces`, without their first axis.
    """
    before, after = signal[:_EDGE].astype(np.float64), signal[-_EDGE:].astype(np.float64)
    found = signal[:AHEAD], signal[-AHEAD:], extrapolate(after), extrapolate(before[::-1])[::-1], _sound(signal)
    return tuple(np.asarray(each, np.float32) for each in found)


def extrapolate(edge):
    """Go on with a signal by linear prediction: Burg's method, as `librosa.lpc` has it, in a resonator without input.

    The order is high: over 11 ms it is single partials that must go on in phase, not the envelope of a spectrum.

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
    # A tone without any noise would leave Burg's recursion nothing to divide by.
    noise = 1e-6 * np.random.default_rng(0).standard_normal(len(edge))
    coefficients = librosa.lpc(edge + noise, order=_ORDER)
    memory = scipy.signal.lfiltic([1.0], coefficients, edge[: -_ORDER - 1 : -1])
    return scipy.signal.lfilter([1.0], coefficients, np.zeros(AHEAD), zi=memory)[0]


def _listen_to(paths):
    # An empty clip would leave nothing to look at: silence of a tenth of a second stands for it.
    signals = [audio.salvage(path, sample_rate=RATE, seconds=None) for path in paths]
    return [trace(np.pad(each, (0, max(0, RATE // 10 - len(each))))) for each in signals]


def _sound(signal):
    """Long-term spectrum (mean, quantiles, spread, movement of each band), chroma in thirds of a semitone, rhythm."""
    import librosa

    power = _power(signal, n_fft=_N_FFT, hop=_N_FFT // 2)
    bands = _decibels(_mel_weights(_N_FFT, _BANDS, 30) @ power)
    movement = np.abs(np.diff(bands, axis=1)).mean(axis=1) if bands.shape[1] > 1 else np.zeros(_BANDS)
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=_N_FFT, tuning=0.0, n_chroma=36).mean(axis=1)
    quantiles = np.percentile(bands, [10, 90], axis=1)
    return np.concatenate([
        bands.mean(axis=1), *quantiles, bands.std(axis=1), movement, np.log(chroma + 0.05), _rhythm(signal),
    ])


def _rhythm(signal):
    """Autocorrelation of the onset strength at the lags of beats: tempo and pattern, whatever the pitch."""
    levels = _decibels(_mel_weights(1024, 40, 0) @ _power(signal, n_fft=1024, hop=_HOP), floor=1e-8)
    onsets = np.maximum(np.diff(levels, axis=1), 0).mean(axis=0)
    onsets -= onsets.mean()
    likeness = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :]
    likeness = np.pad(likeness, (0, max(0, _LAGS.stop - len(likeness))))
    return likeness[_LAGS] / (likeness[0] + 1e-9)


def _power(signal, *, n_fft, hop):
    import librosa

    return np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=hop, center=False)) ** 2


def _mel_weights(n_fft, bands, f_min):
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=bands, fmin=f_min, fmax=RATE / 2, norm=None)


def _decibels(power, *, floor=1e-10):
    return 10 * np.log10(power + floor)
