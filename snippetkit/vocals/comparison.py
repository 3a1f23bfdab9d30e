"""The network beside the package: whether they still say the same, on a clip and weights of a person's own."""

import math

import numpy as np

from .. import audio
from .backends import RATE, open_backend, stereo
from .energy import level


def compare(path, weights):
    """Separate a clip, of some minutes at most, with both backends.

    Parameters
    ----------
    path : path-like
    weights : path-like
        The folder with Spleeter's weights.

    Returns
    -------
    dict
        ``mixture``, ``torch`` and ``spleeter``: the levels of the clip and of its vocals, in dBFS;
        ``snr``: how far the network's deviation lies below the package's vocals, in dB.

    Raises
    ------
    KitError
        If the clip cannot be read, or a backend is not to be had.
    """
    mixture = stereo(audio.load(path, sample_rate=RATE, seconds=None, mono=False))
    vocals = {}
    for separator in ("spleeter", "torch"):     # the one that may not be installed first
        with open_backend(separator, weights) as backend:
            vocals[separator] = backend(mixture[np.newaxis])[0]
    return {
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
