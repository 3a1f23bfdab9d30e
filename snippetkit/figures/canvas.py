"""Canvas, colours and saving, shared by all pictures."""

import matplotlib.pyplot as plt
from IPython.display import Image

from ..utils.storage import replacing

# One colour per class, distinguishable with colour vision deficiency (Okabe and Ito, 2008).
COLOURS = ("#555555", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


def subplots(rows, columns, *, size, **options):
    """A figure and its axes, without a reference in pyplot."""
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", **options)
    plt.close(figure)   # or a notebook would show it twice
    return figure, axes


def save(figure, path, *, dpi=110):
    """Write a figure as PNG, complete or not at all.

    Returns
    -------
    IPython.display.Image
        The file, so that a notebook shows it without drawing the figure again.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return Image(filename=path)
