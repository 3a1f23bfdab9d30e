"""518 numbers a clip, as a study of genres has them: seven statistics over time of eleven of librosa's features.

The study takes them from Defferrard et al., "FMA: A dataset for music analysis" (ISMIR 2017).
"""

import warnings

import librosa
import numpy as np
import scipy.stats
from joblib import Parallel, delayed

from .. import audio
from ..utils.progress import progress

STATISTICS = ("minimum", "maximum", "mean", "median", "deviation", "skew", "kurtosis")
# librosa's own defaults
_FFT, _HOP = 2048, 512

# Name to how many rows it has.
ROWS = {
    "chroma_stft": 12, "chroma_cqt": 12, "chroma_cens": 12, "tonnetz": 6, "mfcc": 20, "zero_crossing_rate": 1,
    "rms": 1, "centroid": 1, "bandwidth": 1, "contrast": 7, "rolloff": 1,
}


def names():
    """What each of the 518 numbers is: list of str such as ``mfcc_03_skew``."""
    return [f"{name}_{row:02d}_{statistic}" for name, rows in ROWS.items() for statistic in STATISTICS
            for row in range(rows)]


def frames(signal, sample_rate):
    """librosa's features of a clip, frame by frame.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz

    Returns
    -------
    dict
        Name to ndarray, shape (rows, frames).
    """
    at = {"sr": sample_rate}
    transform = np.abs(librosa.cqt(signal, **at, hop_length=_HOP, n_bins=7 * 12, tuning=None))
    bins = {"C": transform, "n_chroma": 12, "n_octaves": 7, "bins_per_octave": 12}
    cqt, cens = librosa.feature.chroma_cqt(**bins), librosa.feature.chroma_cens(**bins)
    spectrum = np.abs(librosa.stft(signal, n_fft=_FFT, hop_length=_HOP))
    mel = librosa.feature.melspectrogram(**at, S=spectrum**2)
    return {
        "chroma_stft": librosa.feature.chroma_stft(S=spectrum**2, **at, n_chroma=12),
        "chroma_cqt": cqt,
        "chroma_cens": cens,
        "tonnetz": librosa.feature.tonnetz(chroma=cens),
        "mfcc": librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(signal, frame_length=_FFT, hop_length=_HOP),
        "rms": librosa.feature.rms(S=spectrum, frame_length=_FFT),
        "centroid": librosa.feature.spectral_centroid(S=spectrum, **at),
        "bandwidth": librosa.feature.spectral_bandwidth(S=spectrum, **at),
        "contrast": librosa.feature.spectral_contrast(S=spectrum, **at, n_bands=6),
        "rolloff": librosa.feature.spectral_rolloff(S=spectrum, **at),
    }


def summary(values):
    """The seven statistics of each row over time: ndarray (rows, frames) to (7 · rows,), in the order of `names`.

    A row that is the same all the time has no shape: skew and kurtosis are 0 there.
    """
    deviation = values.std(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)     # of rows that are all the same, which are seen to below
        shape = [scipy.stats.skew(values, axis=1), scipy.stats.kurtosis(values, axis=1)]
    shape = [np.where(deviation > 1e-10 * np.abs(values).max(initial=1e-300), each, 0.0) for each in shape]
    return np.nan_to_num(np.concatenate([
        values.min(axis=1), values.max(axis=1), values.mean(axis=1), np.median(values, axis=1), deviation, *shape,
    ]))


def numbers(signal, sample_rate):
    """All 518 of a clip: ndarray (samples,) to (518,), float64."""
    return np.concatenate([summary(each) for each in frames(signal, sample_rate).values()])


def of_clips(paths, *, sample_rate=22_050, seconds=None, load=audio.load, jobs=-1):
    """All 518 of many clips.

    Parameters
    ----------
    paths : sequence of path-like
    sample_rate : int, in Hz
    seconds : float or None
        As in `audio.load`.
    load : callable
        Takes what `audio.load` takes.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, 518), float32
    """
    waiting = Parallel(jobs, return_as="generator")(
        delayed(_of_clip)(path, sample_rate, seconds, load) for path in paths
    )
    found = progress(waiting, total=len(paths), title="518 numbers", unit="clip")
    return np.stack(list(found)).astype(np.float32)


def _of_clip(path, sample_rate, seconds, load):
    return numbers(load(path, sample_rate=sample_rate, seconds=seconds), sample_rate)
