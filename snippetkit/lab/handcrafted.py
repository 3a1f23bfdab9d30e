"""518 numbers per clip, as in a study of genres: seven statistics over time of eleven of librosa's features.

The study takes them from Defferrard et al., "FMA: A dataset for music analysis" (ISMIR 2017). Their names and their
order are those of FMA's ``features.csv``. The values differ: FMA computed that file at each track's own sample rate,
usually 44,100 Hz, and its spectral features count frequencies as if it were 22,050 Hz; the kit resamples first.
"""

import warnings

import librosa
import numpy as np
import scipy.stats

from .. import audio
from ..utils.parallel import parallel_map

STATISTICS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
FFT, HOP = 2048, 512     # librosa's defaults, in samples

# Rows of each of librosa's features.
ROWS = {
    "chroma_cens": 12, "chroma_cqt": 12, "chroma_stft": 12, "mfcc": 20, "rmse": 1, "spectral_bandwidth": 1,
    "spectral_centroid": 1, "spectral_contrast": 7, "spectral_rolloff": 1, "tonnetz": 6, "zcr": 1,
}


def feature_names():
    """Names of the 518 numbers, in order: list of (feature, statistic, number).

    Examples
    --------
    >>> feature_names()[:2], len(feature_names())
    ([('chroma_cens', 'kurtosis', '01'), ('chroma_cens', 'kurtosis', '02')], 518)
    """
    return [name for feature, rows in ROWS.items() for name in name_statistics(feature, rows)]


def name_statistics(feature, rows, statistics=STATISTICS):
    """Names of the statistics of the rows of one feature: list of (feature, statistic, number)."""
    return [(feature, statistic, f"{row:02d}") for statistic in statistics for row in range(1, rows + 1)]


def frame_features(signal, sample_rate):
    """librosa's features of a clip, frame by frame.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz

    Returns
    -------
    dict
        Name to ndarray, shape (rows, frames).

    Examples
    --------
    >>> frame_features(np.ones(22_050, np.float32), 22_050)["mfcc"].shape
    (20, 44)
    """
    at = {"sr": sample_rate}
    transform = np.abs(librosa.cqt(signal, **at, hop_length=HOP, n_bins=7 * 12, tuning=None))
    bins = {"C": transform, "n_chroma": 12, "n_octaves": 7, "bins_per_octave": 12}
    cens = librosa.feature.chroma_cens(**bins)
    spectrum = np.abs(librosa.stft(signal, n_fft=FFT, hop_length=HOP))
    mel = librosa.feature.melspectrogram(**at, S=spectrum**2)
    return {
        "chroma_cens": cens,
        "chroma_cqt": librosa.feature.chroma_cqt(**bins),
        "chroma_stft": librosa.feature.chroma_stft(S=spectrum**2, **at, n_chroma=12),
        "mfcc": librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20),
        "rmse": librosa.feature.rms(S=spectrum, frame_length=FFT),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(S=spectrum, **at),
        "spectral_centroid": librosa.feature.spectral_centroid(S=spectrum, **at),
        "spectral_contrast": librosa.feature.spectral_contrast(S=spectrum, **at, n_bands=6),
        "spectral_rolloff": librosa.feature.spectral_rolloff(S=spectrum, **at),
        "tonnetz": librosa.feature.tonnetz(chroma=cens),
        "zcr": librosa.feature.zero_crossing_rate(signal, frame_length=FFT, hop_length=HOP),
    }


def summarise(values):
    """The seven statistics of each row over time, in the order of `STATISTICS`.

    Parameters
    ----------
    values : ndarray, shape (rows, frames)

    Returns
    -------
    ndarray, shape (7 · rows,)
        Skew and kurtosis of a constant row are 0.

    Examples
    --------
    >>> summarise(np.array([[0.0, 1.0, 2.0]])).round(2).tolist()
    [-1.5, 2.0, 1.0, 1.0, 0.0, 0.0, 0.82]
    """
    deviation = values.std(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)     # about constant rows, which are replaced below
        skew, kurtosis = scipy.stats.skew(values, axis=1), scipy.stats.kurtosis(values, axis=1)
    is_constant = deviation <= 1e-10 * np.abs(values).max(initial=1e-300)
    return np.nan_to_num(np.concatenate([
        np.where(is_constant, 0.0, kurtosis), values.max(axis=1), values.mean(axis=1), np.median(values, axis=1),
        values.min(axis=1), np.where(is_constant, 0.0, skew), deviation,
    ]))


def clip_features(signal, sample_rate):
    """All 518 numbers of a clip.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz

    Returns
    -------
    ndarray, shape (518,), float64

    Examples
    --------
    >>> clip_features(np.ones(22_050, np.float32), 22_050).shape
    (518,)
    """
    features = frame_features(signal, sample_rate)
    return np.concatenate([summarise(features[name]) for name in ROWS])


def extract(
    paths, compute=clip_features, *, title="518 numbers", sample_rate=22_050, seconds=None, load=audio.load, jobs=-1,
):
    """Compute all 518 numbers, or other features, of many clips.

    Parameters
    ----------
    paths : sequence of path-like
    compute : callable
        From samples, ndarray (samples,), and their rate to an ndarray of the same shape for all clips.
    title : str
        Of the progress bar.
    sample_rate : int, in Hz
    seconds : float or None
        As in `audio.load`.
    load : callable
        Has the parameters of `audio.load`.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, 518) or (clips, ...), float32
    """
    def extract_one(path):
        return compute(load(path, sample_rate=sample_rate, seconds=seconds), sample_rate)

    return np.stack(parallel_map(extract_one, paths, jobs=jobs, title=title)).astype(np.float32)
