"""What all pictures share: the canvas, the colours, and how a picture gets onto the disk."""

import matplotlib.pyplot as plt
from IPython.display import Image

from ..utils.storage import replacing

# One colour a class, told apart by people who do not see red and green too (Okabe and Ito, 2008).
COLOURS = ("#555555", "#0072B2", "#D55E00", "#009E73")


def subplots(rows, columns, *, size, **options):
    """A figure and its axes, not kept by pyplot."""
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", **options)
    plt.close(figure)  # or a notebook would show it twice: once by itself, once as the cell's value
    return figure, axes


def save(figure, path, *, dpi=110):
    """Write a figure as PNG, whole or not at all.

    Returns
    -------
    IPython.display.Image
        The file, for a notebook to show: drawing the figure a second time would take as long as the first.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return Image(filename=path)
