"""Who separates: one interface, whatever is behind it. No backend ever stands in for another.

A backend is called with mixtures, ndarray (clips, samples, 2), float32, at `RATE`, and gives the vocals in the same
shape. Its ``batch`` says how many clips of three seconds it likes at once.
"""

from contextlib import contextmanager

import numpy as np

from ..utils.lock import undisturbed

RATE = 44_100   # Hz: what Spleeter was trained on


@contextmanager
def open_backend(separator, weights, *, fast=False):
    """Make a backend ready.

    Parameters
    ----------
    separator : str
        'torch', the kit's own network, or 'spleeter', the package itself.
    weights : path-like
        The folder with Spleeter's weights.
    fast : bool
        As in `network.Network`.

    Yields
    ------
    callable

    Raises
    ------
    KitError
        If the weights are missing, damaged or another model's, or the package is not installed.
    """
    # Imported here: what is complete need wait neither for torch, which no process can load twice, nor for TensorFlow.
    if separator == "torch":
        with undisturbed():
            from .network import Network

        yield Network(weights, fast=fast)
    else:
        from .package import Package

        with Package(weights) as package:
            yield package


def stereo(signal):
    """Two channels, as Spleeter takes them: a single one twice, of more the first two.

    Parameters
    ----------
    signal : ndarray, shape (samples, channels)

    Returns
    -------
    ndarray, shape (samples, 2)
    """
    return np.array(np.broadcast_to(signal[:, :2], (len(signal), 2)), order="C")
