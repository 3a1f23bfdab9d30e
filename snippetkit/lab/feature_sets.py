"""Sets of numbers to choose from, beside the 518 also rhythm and percentiles, and what each set is worth.

Surveys of genre classification list tempo, onsets, spectral flux and percentiles beside the features of those 518.
"""

import librosa
import numpy as np
import pandas as pd

from ..prediction.scores import average
from ..utils.errors import KitError, listed
from ..utils.parameters import text
from . import classical
from .handcrafted import FFT, HOP, ROWS, feature_names, frame_features, name_statistics, summarise
from .methods import interval_or_nan, table_row

PERCENTILES = (5, 25, 75, 95)
_PERCENTILE_NAMES = tuple(f"percentile_{percent:02d}" for percent in PERCENTILES)
# An onset rises by so many dB above the frames around it, as a mean over the bands. librosa's own threshold is relative
# to the strongest onset, so that it counts numerical noise where there is none.
_RISE = 1.0

# Features of rhythm: those with a value per frame, and those with one value per clip.
_CURVES = ("onset_strength", "percussive_onset_strength", "spectral_flux")
_RATES = ("onset_rate", "percussive_onset_rate", "tempo")

# Name of a set to its features. The set of percentiles has all features of the 518 numbers, with other statistics.
SETS = {
    "chroma": ("chroma_cens", "chroma_cqt", "chroma_stft"), "tonnetz": ("tonnetz",), "mfcc": ("mfcc",),
    "spectral": ("spectral_bandwidth", "spectral_centroid", "spectral_contrast", "spectral_rolloff"),
    "energy": ("rmse",), "zcr": ("zcr",), "rhythm": (*_CURVES, *_RATES), "percentiles": (),
}
OF_518 = ("chroma", "tonnetz", "mfcc", "spectral", "energy", "zcr")


def choose(value):
    """Names of the chosen sets.

    Parameters
    ----------
    value : str or list
        Names of `SETS` with spaces or commas between them, or 'all'.

    Returns
    -------
    list of str
        In the order of `SETS`.

    Raises
    ------
    KitError
        If a name is unknown, or there is none.

    Examples
    --------
    >>> choose("rhythm, mfcc")
    ['mfcc', 'rhythm']
    """
    names = text(value).replace(",", " ").split()
    if names == ["all"]:
        return list(SETS)
    if not names or (unknown := set(names) - set(SETS)):
        problem = f"sets has no {listed(sorted(unknown))}" if names else "sets is empty"
        raise KitError(f"{problem}. Choose all, or some of {', '.join(SETS)}.")
    return [name for name in SETS if name in names]


def needs_more(sets):
    """Whether some of these sets are not among the 518 numbers."""
    return not set(sets) <= set(OF_518)


def more_names():
    """Names of the numbers of `more_features`, in order: list of (feature, statistic, number).

    Examples
    --------
    >>> more_names()[:1], len(more_names())
    ([('onset_strength', 'kurtosis', '01')], 320)
    """
    return [
        *(name for curve in _CURVES for name in name_statistics(curve, 1)), *((rate, "value", "01") for rate in _RATES),
        *(name for feature, rows in ROWS.items() for name in name_statistics(feature, rows, _PERCENTILE_NAMES)),
    ]


def more_features(signal, sample_rate):
    """Rhythm, and the percentiles of the features of the 518 numbers.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz

    Returns
    -------
    ndarray, shape (320,), float64

    Examples
    --------
    >>> more_features(np.ones(22_050, np.float32), 22_050).shape
    (320,)
    """
    curves, rates = rhythm(signal, sample_rate)
    frames = frame_features(signal, sample_rate)
    return np.concatenate([
        *(summarise(curves[name][None]) for name in _CURVES), [rates[name] for name in _RATES],
        *(np.percentile(frames[name], PERCENTILES, axis=1).ravel() for name in ROWS),
    ])


def rhythm(signal, sample_rate):
    """Tempo, onsets and spectral flux.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz

    Returns
    -------
    curves : dict
        Name to ndarray, shape (frames,): ``onset_strength`` is librosa's, the rise of a log-mel spectrogram;
        ``percussive_onset_strength`` is that of the percussive part alone (Fitzgerald, "Harmonic/percussive separation
        using median filtering", DAFx 2010); ``spectral_flux`` is the mean rise of the magnitudes from frame to frame
        (Dixon, "Onset detection revisited", DAFx 2006).
    rates : dict
        Name to float: ``onset_rate`` and ``percussive_onset_rate`` per second, ``tempo`` in beats per minute.
    """
    timing = {"sr": sample_rate, "hop_length": HOP}
    spectrum = np.abs(librosa.stft(signal, n_fft=FFT, hop_length=HOP))
    percussive = librosa.decompose.hpss(spectrum)[1]
    curves = {
        "onset_strength": _onset_strength(spectrum, sample_rate),
        "percussive_onset_strength": _onset_strength(percussive, sample_rate),
        "spectral_flux": np.diff(spectrum, axis=1, prepend=spectrum[:, :1]).clip(0).mean(axis=0),
    }
    rates = {"tempo": float(librosa.feature.tempo(onset_envelope=curves["onset_strength"], **timing)[0])}
    for name, curve in (("onset_rate", "onset_strength"), ("percussive_onset_rate", "percussive_onset_strength")):
        onsets = librosa.onset.onset_detect(onset_envelope=curves[curve], **timing, normalize=False, delta=_RISE)
        rates[name] = len(onsets) / (len(signal) / sample_rate)
    return curves, rates


def _onset_strength(spectrum, sample_rate):
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=sample_rate)
    return librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=sample_rate, hop_length=HOP)


def columns_of(sets, names):
    """Columns of a table of numbers that belong to some sets.

    Parameters
    ----------
    sets : collection of str
        Names of `SETS`.
    names : list of (feature, statistic, number)
        Of the columns.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> columns_of(["energy", "zcr"], feature_names()).size
    14
    """
    home = {feature: name for name, features in SETS.items() for feature in features}
    return np.flatnonzero([
        ("percentiles" if statistic in _PERCENTILE_NAMES else home[feature]) in sets for feature, statistic, _ in names
    ])


def compare(comparison, numbers, sets, *, method=0):
    """Accuracy with all chosen sets, with each set alone and without each set.

    Parameters
    ----------
    comparison : Comparison
    numbers : ndarray, shape (clips, 518 or 518 + 320)
        The 518 numbers, with those of `more_features` beside them if a set needs them.
    sets : list of str
        Names of `SETS`.
    method : int
        Of `classical.clip_methods`; the first is the cheapest, k-NN.

    Returns
    -------
    DataFrame
        ``sets``, ``numbers``, ``accuracy`` with ``low`` and ``high``, and the ``difference`` to all chosen sets with
        ``difference_low`` and ``difference_high`` (95% confidence intervals, over artists).
    """
    names = [*feature_names(), *more_names()][: numbers.shape[1]]
    choices = {"all": sets}
    if len(sets) > 1:
        choices |= {f"{name} alone": [name] for name in sets}
        choices |= {f"without {name}": [other for other in sets if other != name] for name in sets}
    rows, data, reference = [], comparison.data, None
    for title, chosen in choices.items():
        columns = columns_of(chosen, names)
        (evaluation,) = comparison.evaluate([classical.clip_methods(title)[method]], numbers[:, columns])
        result = evaluation.result
        correct = (average(result.valid_logits).argmax(axis=1) == result.valid_labels).astype(float)
        reference = correct if reference is None else reference
        row, gain = table_row("", title, evaluation, data), correct - reference
        bounds = interval_or_nan(gain, data.songs.group[result.valid_clips])
        rows.append({
            "sets": title, "numbers": len(columns), **{name: row[name] for name in ("accuracy", "low", "high")},
            "difference": gain.mean(), "difference_low": bounds["low"], "difference_high": bounds["high"],
        })
    return pd.DataFrame(rows)
