"""Evaluating song identification: on fragments, on recordings, against noise; the threshold of "unknown".

All fragments and noises here are in no training set.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ...training.epoch import predict
from .fragments import NoisyFragments
from .phone import recorded

SNRS = tuple(range(-10, 21, 5))     # dB, of the curve
SECONDS = 20                        # of a recording
_SEED = 3


def scores(logits, labels):
    """Accuracy, precision, area under the ROC curve, and top-5, of logits.

    Parameters
    ----------
    logits : ndarray, shape (fragments, songs)
    labels : ndarray, shape (fragments,), int
        Every song must occur.

    Returns
    -------
    dict
        ``accuracy``, ``precision`` (mean over the songs; 0 for a song that is never predicted), ``auc`` (mean over
        the songs, each against all others) and ``top5``, all 0 to 1.
    """
    from sklearn.metrics import precision_score, roc_auc_score

    predicted = logits.argmax(axis=1)
    of_song = np.arange(logits.shape[1]) == labels[:, None]
    probabilities = torch.from_numpy(np.asarray(logits, np.float64)).softmax(dim=1).numpy()
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "precision": float(precision_score(labels, predicted, average="macro", zero_division=0)),
        "auc": float(roc_auc_score(of_song, probabilities, average="macro")),
        "top5": float(np.any(np.argsort(-logits, axis=1)[:, :5] == labels[:, None], axis=1).mean()),
    }


def phone(sample_rate):
    """A function that sends mixes through a simulated phone, for `fragments.NoisyFragments`."""
    def change(mixes, seed):
        rngs = [np.random.default_rng([seed, i]) for i in range(len(mixes))]
        signals = [recorded(mix, sample_rate, rng=rng) for mix, rng in zip(mixes.cpu().numpy(), rngs)]
        return torch.from_numpy(np.stack(signals)).to(mixes.device)

    return change


def evaluate(recogniser, collection, count, device):
    """The three tests of a network.

    Parameters
    ----------
    recogniser : Recogniser
    collection : Collection
    count : int
        Fragments of each song.
    device : Device

    Returns
    -------
    dict
        Test to its `scores`: other fragments of the same recordings; those through a simulated room
        and phone; and whole recordings of `SECONDS` through it, by the mean probability over their windows.
    """
    sounds, mix = collection.test_sounds(device), replace(collection.data.mix, colour=False)
    through_phone = phone(collection.recipe.sample_rate)
    results = {}
    for name, change in {"other fragments": None, "simulated phone": through_phone}.items():
        fragments = NoisyFragments(sounds, count, mix=mix, seed=_SEED, change=change)
        results[name] = scores(predict(recogniser.network, fragments, device), fragments.labels.cpu().numpy())
    results[f"{SECONDS} s by phone"] = _of_recordings(recogniser, sounds, collection, max(2, count // 4))
    return results


def _of_recordings(recogniser, sounds, collection, count):
    means = [recogniser.probabilities(signal).mean(axis=0) for signal in recordings(sounds, collection, count)]
    labels = np.arange(len(sounds.songs)).repeat(count)
    return scores(np.log(np.maximum(means, 1e-12)), labels)


def recordings(sounds, collection, count, *, seed=_SEED, seconds=SECONDS, mix=None):
    """Recordings by a simulated phone, `count` of each song: yields ndarray, shape (samples,), float32."""
    rate = collection.recipe.sample_rate
    longer = replace(sounds, samples=round(seconds * rate))
    fragments = NoisyFragments(longer, count, mix=mix or collection.data.mix, change=phone(rate))
    generator = torch.Generator().manual_seed(seed)
    for label in fragments.labels.cpu().split(1):
        yield fragments.mixed(label, generator)[0].cpu().numpy()


def example(collection, device, *, snrs):
    """One fragment of the first song at several signal-to-noise ratios.

    Parameters
    ----------
    collection : Collection
    device : Device
    snrs : sequence of float or None
        In dB; None is the fragment without noise.

    Returns
    -------
    dict
        Title to ndarray, shape (samples,), with peaks of 0.9 at most.
    """
    sounds, signals = collection.test_sounds(device), {}
    for snr in snrs:
        mix = collection.data.mix.at(np.inf if snr is None else snr)
        generator = torch.Generator().manual_seed(_SEED)    # the same fragment every time
        signal = NoisyFragments(sounds, 1, mix=mix).mixed(torch.zeros(1, dtype=torch.int64), generator)[0].cpu().numpy()
        signals["no noise" if snr is None else f"{snr} dB"] = signal * (0.9 / max(0.9, np.abs(signal).max()))
    return signals


def against_noise(network, sounds, count, mix, device, *, snrs=SNRS):
    """Accuracy at fixed signal-to-noise ratios.

    Returns
    -------
    DataFrame
        ``snr`` in dB, ``accuracy``, ``top5``.
    """
    rows = []
    for snr in snrs:
        fragments = NoisyFragments(sounds, count, mix=replace(mix.at(snr), colour=False), seed=_SEED)
        results = scores(predict(network, fragments, device), fragments.labels.cpu().numpy())
        rows.append({"snr": snr, "accuracy": results["accuracy"], "top5": results["top5"]})
    return pd.DataFrame(rows)


def choose_threshold(known, unknown):
    """The probability below which a song is "unknown": the point of the ROC curve farthest from chance.

    Youden, "Index for rating diagnostic tests" (Cancer 3, 1950): the largest ``true positives - false positives``.

    Parameters
    ----------
    known, unknown : ndarray, shape (recordings,)
        The highest probability of each recording of known and of unknown songs.

    Returns
    -------
    float
    """
    from sklearn.metrics import roc_curve

    false_positives, true_positives, thresholds = roc_curve(*_roc(known, unknown))
    return float(thresholds[1 + np.argmax((true_positives - false_positives)[1:])])  # the first accepts nothing


def rates(known, unknown, threshold):
    """Evaluate a threshold on recordings that it was not chosen on.

    Returns
    -------
    dict
        ``threshold``, ``true_positive_rate`` (of the known, at or above it), ``false_positive_rate`` (of the unknown),
        and ``auc``, the area under the ROC curve.
    """
    from sklearn.metrics import roc_auc_score

    return {
        "threshold": threshold,
        "true_positive_rate": float(np.mean(known >= threshold)),
        "false_positive_rate": float(np.mean(unknown >= threshold)),
        "auc": float(roc_auc_score(*_roc(known, unknown))),
    }


def _roc(known, unknown):
    return np.concatenate([np.ones(len(known)), np.zeros(len(unknown))]), np.concatenate([known, unknown])
