"""Pictures of a table of methods; each function returns a matplotlib Figure."""

import numpy as np

from ..figures.canvas import COLOURS, subplots


def accuracies(table, *, chance):
    """Accuracy of every method with its interval, the best on top.

    Parameters
    ----------
    table : DataFrame
        As `methods.sorted_table` gives it.
    chance : float
        What guessing would get.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(9, 0.9 + 0.21 * len(table)))
    rows = np.arange(len(table))
    axis.hlines(rows, table["low"], table["high"], color=COLOURS[1], alpha=0.5)
    axis.plot(table["accuracy"], rows, "o", color=COLOURS[1], markersize=4)
    axis.axvline(chance, color="grey", linestyle=":", label="guessing")
    axis.set_yticks(rows, [f"{method} · {features}" for method, features in zip(table["method"], table["features"])],
                    fontsize=7)
    axis.set(xlabel="accuracy, and 95% over songs or artists", xlim=(0, 1), ylim=(len(table) - 0.5, -0.5))
    axis.legend(loc="lower right")
    axis.grid(alpha=0.3, axis="x")
    return figure


def gaps(tables):
    """What folds drawn at random claim, beside folds that keep artists apart.

    Parameters
    ----------
    tables : dict
        Title to DataFrame as `board.both_ways` gives it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, len(tables), size=(6 * len(tables), 3), squeeze=False)
    for axis, (title, table) in zip(axes[0], tables.items()):
        rows = np.arange(len(table))
        axis.hlines(rows, table["apart"], table["random"], color="grey")
        axis.plot(table["apart"], rows, "o", color=COLOURS[1], label="artists apart")
        axis.plot(table["random"], rows, "s", color=COLOURS[2], label="random folds")
        axis.set_yticks(rows, table["method"])
        axis.set(title=title, xlabel="accuracy", xlim=(0, 1), ylim=(len(table) - 0.5, -0.5))
        axis.grid(alpha=0.3, axis="x")
    axes[0, 0].legend(loc="lower left")
    return figure
