"""Pictures of what networks do, as matplotlib Figures: where they look, and how an answer goes on over a song."""

import numpy as np

from ..data.labels import CLASSES
from ..figures.canvas import COLOURS, subplots


def explained(clips, *, seconds):
    """A row a clip: its features, what moves the answer, and which places speak for it.

    Parameters
    ----------
    clips : dict
        Title to a tuple of three ndarrays, each (frames, bands): features, saliency, class activation.
    seconds : float
        Of a clip.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(len(clips), 3, size=(12, 2.6 * len(clips)), sharex=True, sharey=True, squeeze=False)
    for row, (title, pictures) in zip(axes, clips.items()):
        for axis, picture, what in zip(row, pictures, ("features", "saliency", "class activation")):
            extent = (0, seconds, 0, picture.shape[1])
            axis.imshow(
                pictures[0].T if what == "class activation" else picture.T, origin="lower", aspect="auto",
                cmap="magma" if what == "saliency" else "gray", extent=extent,
            )
            if what == "class activation" and not picture.any():
                what = "class activation: no place speaks for it"
            elif what == "class activation":    # over the features, so that one sees what lies under it
                axis.imshow(picture.T, origin="lower", aspect="auto", cmap="inferno", alpha=0.6, extent=extent)
            axis.set_title(what, fontsize="medium")
        row[0].set_title(title, fontsize="medium")
        row[0].set_ylabel("band")
    for axis in axes[-1]:
        axis.set_xlabel("s")
    return figure


def stream(decisions, truth=None):
    """Probabilities over a recording, as they were decided.

    Parameters
    ----------
    decisions : DataFrame
        As `streaming.over` gives it.
    truth : sequence of (start, end, class), or None
        In seconds: what is really heard, as a strip below.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(10, 3.4))
    answers = np.stack(decisions["answer"])
    for label, (name, colour) in enumerate(zip(CLASSES, COLOURS)):
        axis.step(decisions["seconds"], answers[:, label], where="post", color=colour, label=name)
    for start, end, label in truth or ():
        axis.axvspan(start, end, ymax=0.05, color=COLOURS[label])
    axis.set(xlabel="s", ylabel="probability", ylim=(-0.08 if truth else 0, 1.02), xlim=(0, decisions["seconds"].max()))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper right", ncols=len(CLASSES), fontsize="small")
    return figure
