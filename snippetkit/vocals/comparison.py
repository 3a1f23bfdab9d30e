"""The network beside the package: whether they still say the same, on a clip and weights of a person's own."""

import math

import numpy as np

from .. import audio
from ..audio import level
from .package import find_python
from .separation import RATE, open_backend, stereo
from .weights import find_weights

# What the two were seen to differ by is rounding: less would mean that one of them computes something else.
AGREEMENT = 90  # dB


def compare(path, weights=""):
    """Separate a clip, of some minutes at most, with both backends.

    Parameters
    ----------
    path : path-like
    weights : path-like
        The folder with Spleeter's weights; empty: wherever `find_weights` finds them.

    Returns
    -------
    dict
        ``weights``: the folder; ``mixture``, ``torch`` and ``spleeter``: levels of the clip and of its vocals, in dBFS;
        ``snr``: how far the network's deviation lies below the package's vocals, in dB.

    Raises
    ------
    KitError
        If the clip cannot be read, or a backend is not to be had.
    """
    mixture = stereo(audio.load(path, sample_rate=RATE, seconds=None, mono=False))
    find_python()   # before a download
    weights = find_weights(weights)
    vocals = {}
    for separator in ("spleeter", "torch"):
        with open_backend(separator, weights) as backend:
            vocals[separator] = backend(mixture[np.newaxis])[0]
    return {
        "weights": weights,
        "mixture": level(mixture),
        **{separator: level(signal) for separator, signal in vocals.items()},
        "snr": snr(vocals["spleeter"], vocals["torch"]),
    }


def snr(reference, other):
    """Energy of a signal over that of another one's deviation from it, in dB; inf where there is none.

    Parameters
    ----------
    reference, other : ndarray, of one shape

    Returns
    -------
    float
    """
    deviation = np.subtract(reference, other, dtype=np.float64)
    return level(reference) - level(deviation) if deviation.any() else math.inf
