"""How well a network identifies songs: metrics, the three tests, accuracy under noise, and the threshold for "unknown".

Everything is measured on fragments and under noises that were not used in training. A fingerprint index takes the same
tests, see `untrained`.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import precision_score, roc_auc_score, roc_curve

from ..cache import cached, cached_table
from .fragments import NoisyFragments

SNRS = tuple(range(-10, 21, 5))     # dB, of the curve
SECONDS = 20                        # length of a recording
_SEED = 3


def compute_metrics(logits, labels):
    """Accuracy, precision, area under the ROC curve, and top-5 accuracy.

    Parameters
    ----------
    logits : ndarray, shape (fragments, songs)
    labels : ndarray, shape (fragments,), int
        Every song must occur.

    Returns
    -------
    dict
        ``accuracy``, ``precision`` (mean over the songs; 0 for a song that is never predicted), ``auc`` (mean over the
        songs, each against all others) and ``top5``, all from 0 to 1.

    Examples
    --------
    >>> compute_metrics(np.array([[1.0, 0.0], [1.0, 0.0]]), np.arange(2))
    {'accuracy': 0.5, 'precision': 0.25, 'auc': 0.5, 'top5': 1.0}
    """
    predicted = logits.argmax(axis=1)
    is_song = np.arange(logits.shape[1]) == labels[:, None]
    probabilities = torch.from_numpy(np.asarray(logits, np.float64)).softmax(dim=1).numpy()
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "precision": float(precision_score(labels, predicted, average="macro", zero_division=0)),
        "auc": float(roc_auc_score(is_song, probabilities, average="macro")),
        "top5": float(np.any(np.argsort(-logits, axis=1)[:, :5] == labels[:, None], axis=1).mean()),
    }


def keep(folder, name, recogniser, data, count, compute):
    """`cache.cached_table` of a result of a recogniser, which is computed once for its training and these recordings.

    Parameters
    ----------
    folder : path-like
    name : str
        Of the result.
    recogniser : Recogniser, or an object with its interface
    data : SongData
    count : int
        As for `compute`.
    compute : callable
        Returns a DataFrame.

    Returns
    -------
    DataFrame
    """
    return cached_table(folder, name, [recogniser.identity, data.tested_on, count], compute)


def evaluate(recogniser, data, count):
    """The three tests of a network.

    Parameters
    ----------
    recogniser : Recogniser or IndexRecogniser
    data : SongData
    count : int
        Fragments of each song.

    Returns
    -------
    DataFrame
        A row per test with ``test`` and the results of `compute_metrics`: other fragments of the same recordings; such
        fragments recorded by a simulated phone; recordings of `SECONDS` by the phone, by the mean probability over
        their windows.
    """
    sounds = data.sounds(recogniser.recipe, recogniser.device, test=True)
    mix, recordings = replace(data.mix, colour=False), max(2, count // 4)
    means = mean_probabilities(recogniser, sounds, mix, recordings)
    labels = np.arange(len(sounds.songs)).repeat(recordings)
    tests = {
        "other fragments": _evaluate_fragments(recogniser, sounds, count, mix),
        "simulated phone": _evaluate_fragments(recogniser, sounds, count, mix, phone=True),
        f"{SECONDS} s by phone": compute_metrics(np.log(np.maximum(means, 1e-12)), labels),
    }
    return pd.DataFrame({"test": test, **metrics} for test, metrics in tests.items())


def _evaluate_fragments(recogniser, sounds, count, mix, *, phone=False):
    fragments = NoisyFragments(sounds, count, mix=mix, seed=_SEED, phone=phone)
    return compute_metrics(recogniser.logits(fragments), fragments.labels.cpu().numpy())


def mean_probabilities(recogniser, sounds, mix, count, *, seed=_SEED):
    """Mean probabilities over the windows of each of `make_recordings`: ndarray (recordings, songs)."""
    recordings = make_recordings(sounds, mix, count, seed=seed)
    return np.stack([recogniser.probabilities(recording).mean(axis=0) for recording in recordings])


def highest_probabilities(recogniser, data, count, *, half):
    """The highest mean probability in each recording of known songs, and of one half of the unknown songs.

    Parameters
    ----------
    recogniser : Recogniser or IndexRecogniser
        The index has scores instead of probabilities.
    data : SongData
    count : int
        Recordings of each song.
    half : int
        0 or 1. The recordings of known songs are others in each half.

    Returns
    -------
    known, unknown : ndarray, shape (recordings,)
    """
    data = replace(data, unknown=data.unknown[half::2])
    pair = [data.sounds(recogniser.recipe, recogniser.device, test=True, unknown=unknown) for unknown in (False, True)]
    return [mean_probabilities(recogniser, sounds, data.mix, count, seed=half).max(axis=1) for sounds in pair]


def keep_highest(folder, recogniser, data, count):
    """`highest_probabilities` of both halves: a list of two pairs; kept in a folder as in `keep`."""
    def compute(half):
        return dict(zip(("known", "unknown"), highest_probabilities(recogniser, data, count, half=half)))

    source = [recogniser.identity, data.tested_on, count]
    halves = [cached(folder, "highest", [*source, half], partial(compute, half)) for half in range(2)]
    return [(kept["known"], kept["unknown"]) for kept in halves]


def make_recordings(sounds, mix, count, *, seed=_SEED):
    """Make recordings of `SECONDS` by a simulated phone.

    Parameters
    ----------
    sounds : Sounds
    mix : Mix
    count : int
        Recordings of each song.
    seed : int

    Yields
    ------
    ndarray, shape (samples,), float32
    """
    longer = replace(sounds, samples=round(SECONDS * sounds.spectrogram.recipe.sample_rate))
    fragments = NoisyFragments(longer, count, mix=mix, phone=True)
    generator = torch.Generator().manual_seed(seed)
    for song in fragments.labels.cpu().split(1):
        yield fragments.mix_fragments(song, generator)[0].cpu().numpy()


def make_examples(sounds, mix, snrs):
    """One fragment of the first song at several signal-to-noise ratios, to listen to.

    Parameters
    ----------
    sounds : Sounds
    mix : Mix
    snrs : sequence of float or None
        In dB; None is the fragment without noise.

    Returns
    -------
    dict
        Title to ndarray, shape (samples,), with peaks of at most 0.9.
    """
    examples, first = {}, torch.zeros(1, dtype=torch.int64)
    for snr in snrs:
        fragments = NoisyFragments(sounds, 1, mix=mix.at(np.inf if snr is None else snr))
        generator = torch.Generator().manual_seed(_SEED)    # the same fragment for every ratio
        signal = fragments.mix_fragments(first, generator)[0].cpu().numpy()
        examples["no noise" if snr is None else f"{snr} dB"] = signal * (0.9 / max(0.9, np.abs(signal).max()))
    return examples


def accuracy_by_snr(recogniser, sounds, mix, count, *, snrs=SNRS):
    """Accuracy at fixed signal-to-noise ratios.

    Parameters
    ----------
    recogniser : Recogniser
    sounds : Sounds
    mix : Mix
    count : int
        Fragments of each song.
    snrs : sequence of float
        In dB.

    Returns
    -------
    DataFrame
        ``snr``, and the columns of `compute_metrics`.
    """
    mix = replace(mix, colour=False)
    return pd.DataFrame({"snr": snr, **_evaluate_fragments(recogniser, sounds, count, mix.at(snr))} for snr in snrs)


def choose_threshold(known, unknown):
    """Choose the probability below which the answer is "unknown song".

    Youden, "Index for rating diagnostic tests" (Cancer 3, 1950): the point of the ROC curve with the largest difference
    of true positive rate and false positive rate.

    Parameters
    ----------
    known, unknown : ndarray, shape (recordings,)
        The highest probability in each recording of known songs, and of unknown songs.

    Returns
    -------
    float

    Examples
    --------
    >>> choose_threshold(np.array([0.9, 0.7]), np.array([0.5, 0.2]))
    0.7
    """
    false_positives, true_positives, thresholds = roc_curve(*_roc_input(known, unknown))
    # the first threshold accepts nothing
    return float(thresholds[1 + np.argmax((true_positives - false_positives)[1:])])


def threshold_rates(known, unknown, threshold):
    """How well a threshold separates known from unknown songs.

    Parameters
    ----------
    known, unknown
        As in `choose_threshold`, of other recordings.
    threshold : float

    Returns
    -------
    dict
        ``threshold``; ``true_positive_rate``, the share of known recordings at or above it; ``false_positive_rate``,
        that of unknown ones; ``auc``, the area under the ROC curve.

    Examples
    --------
    >>> threshold_rates(np.array([0.9, 0.6]), np.array([0.5, 0.2]), 0.7)
    {'threshold': 0.7, 'true_positive_rate': 0.5, 'false_positive_rate': 0.0, 'auc': 1.0}
    """
    return {
        "threshold": threshold,
        "true_positive_rate": float(np.mean(known >= threshold)),
        "false_positive_rate": float(np.mean(unknown >= threshold)),
        "auc": float(roc_auc_score(*_roc_input(known, unknown))),
    }


def compare_unknown(folder, recognisers, data, count):
    """How well several recognisers tell known from unknown songs.

    Parameters
    ----------
    folder : path-like
        For `keep_highest`.
    recognisers : dict
        Name to Recogniser, or to another object with its interface.
    data : SongData
    count : int
        Recordings of each song in each half.

    Returns
    -------
    DataFrame
        ``way``, and the rates of `threshold_rates`: means of the two halves, each with the threshold of the other one.
    """
    rows = []
    for way, recogniser in recognisers.items():
        halves = keep_highest(folder, recogniser, data, count)
        rates = [threshold_rates(*halves[1 - half], choose_threshold(*halves[half])) for half in range(2)]
        rows.append({"way": way, **pd.DataFrame(rates).drop(columns="threshold").mean()})
    return pd.DataFrame(rows)


def _roc_input(known, unknown):
    return np.concatenate([np.ones(len(known)), np.zeros(len(unknown))]), np.concatenate([known, unknown])
