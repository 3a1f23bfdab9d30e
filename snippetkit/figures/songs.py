"""Pictures of songs: their sizes, and the classes of each fold."""

from itertools import cycle

import numpy as np

from .canvas import COLOURS, subplots


def songs(songs, labels, class_names):
    """Clips by the size of their song, and the classes of each fold.

    Parameters
    ----------
    songs : Songs
    labels : ndarray, shape (train clips,), int
    class_names : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = subplots(1, 2, size=(11, 3.6))
    _sizes(left, songs.known)
    _folds(right, songs.fold, np.asarray(labels), class_names)
    return figure


def _sizes(axis, known):
    kinds = {kind: known.groupby(kind).size().to_numpy() for kind in ("song", "group")}
    # Sizes by octaves: 1, 2 to 3, 4 to 7, ...
    octaves = 1 + max((int(sizes.max()).bit_length() - 1 for sizes in kinds.values() if len(sizes)), default=0)
    for (kind, sizes), colour, shift in zip(kinds.items(), COLOURS[1:], (-0.2, 0.2)):
        clips = np.bincount(np.log2(sizes).astype(int), weights=sizes, minlength=octaves)
        axis.bar(np.arange(octaves) + shift, clips, width=0.4, color=colour, label=f"{len(sizes)} {kind}s")
    axis.set_xticks(range(octaves), ["1", *(f"{2**i}-{2 ** (i + 1) - 1}" for i in range(1, octaves))])
    axis.set(title="clips by the size of their song", xlabel="clips in the song or group", ylabel="clips")
    axis.grid(alpha=0.3, axis="y")
    axis.legend()


def _folds(axis, fold, labels, class_names):
    axis.set(title="too few songs for folds", xlabel="fold", ylabel="train clips")
    if fold.max() < 0:
        return
    below = np.zeros(fold.max() + 1)
    for label, (name, colour) in enumerate(zip(class_names, cycle(COLOURS))):
        counts = np.bincount(fold[labels == label], minlength=len(below))
        axis.bar(range(len(below)), counts, bottom=below, color=colour, label=name)
        below += counts
    axis.set(title="folds: no group of songs is in two of them", ylim=(0, 1.45 * below.max()))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="upper center", ncols=2)
