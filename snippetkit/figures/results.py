"""Pictures of data and results: class counts, learning curves, confusion, accuracy against ensemble size."""

from itertools import cycle

import numpy as np
import pandas as pd

from .canvas import COLOURS, subplots


def class_counts(counts, class_names, *, title="clips"):
    """How many clips each class has.

    Parameters
    ----------
    counts : sequence of int
    class_names : sequence of str
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(7, 2.6))
    bars = axis.barh(class_names, counts, color=COLOURS[: len(class_names)])
    axis.bar_label(bars, [f" {n:,} ({n / max(1, sum(counts)):.0%})" for n in counts])
    axis.set(title=title, xlim=(0, 1.3 * max(1, *counts)))
    axis.invert_yaxis()
    return figure


def vocal_shares(shares, labels, class_names):
    """Energy of the vocals relative to the mixture, by class.

    Parameters
    ----------
    shares : ndarray, shape (clips,)
        In dB; NaN for silent clips.
    labels : ndarray, shape (clips,), int
    class_names : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(9, 3.2))
    rows = np.arange(len(class_names))
    groups = [shares[(labels == label) & ~np.isnan(shares)] for label in rows]
    for row, group, colour in zip(rows, groups, cycle(COLOURS)):
        if len(group):
            least, low, middle, high, most = np.percentile(group, [5, 25, 50, 75, 95])
            axis.plot([least, most], [row, row], color=colour)
            axis.barh(row, high - low, left=low, height=0.6, color=colour, alpha=0.6)
            axis.plot(middle, row, "|", color="black", markersize=26)
    axis.set_yticks(rows, class_names)
    axis.set(title="energy of the vocals: median, 50% and 90% of the clips", xlabel="dB relative to the mixture")
    axis.grid(alpha=0.3, axis="x")
    axis.invert_yaxis()
    return figure


def learning_curves(histories):
    """Loss and accuracy of all members over the epochs; dotted lines where the schedule restarts.

    Parameters
    ----------
    histories : dict
        Member to DataFrame with the columns of ``history.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, 2, size=(10, 3.8))
    if not histories:
        figure.suptitle("no finished epoch yet")
        return figure
    # Members may have different numbers of epochs; the mean of an epoch is over those that reached it.
    means = pd.concat(histories.values()).groupby("epoch").mean(numeric_only=True)
    for kind, axis in zip(("loss", "accuracy"), axes):
        for split, colour in (("train", COLOURS[1]), ("valid", COLOURS[2])):
            for history in histories.values():
                axis.plot(history["epoch"], history[f"{split}_{kind}"], color=colour, alpha=0.35, linewidth=1)
            axis.plot(means[f"{split}_{kind}"], color=colour, linewidth=2.4, marker="o", markersize=4, label=split)
        for epoch in _restarts(means):
            axis.axvline(epoch + 0.5, color="grey", linestyle=":", linewidth=1)
        axis.set(title=f"{kind}, mean of {len(histories)} members (thin: each)", xlabel="epoch", ylabel=kind)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def _restarts(means):
    """Epochs after which the learning rate has risen again; the rise at the start of one-cycle is none."""
    if "lr" not in means:
        return []
    change = means["lr"].diff()
    return means.index[(change > 0) & (change.shift() < 0)].drop(means.index[-1], errors="ignore")


def confusion(matrix, class_names, *, title="confusion"):
    """Confusion matrix: counts, and shares of each class as colour.

    Parameters
    ----------
    matrix : array-like, shape (classes, classes)
        Rows are labels, columns predictions.
    class_names : sequence of str
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, axis = subplots(1, 1, size=(6.4, 5.2))
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        axis.text(
            column, row, f"{matrix[row, column]}\n{share:.0%}", ha="center", va="center",
            color="white" if share > 0.5 else "black",
        )
    names = [name.replace(" voice", "\nvoice") for name in class_names]
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set(title=title, xlabel="predicted", ylabel="label")
    figure.colorbar(image, ax=axis, label="share of the class")
    return figure


def ensemble_size(table):
    """Accuracy against the number of members that are averaged.

    Parameters
    ----------
    table : DataFrame
        As `evaluation.accuracy_by_size` gives it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(7, 3.6))
    axis.errorbar("members", "mean", "deviation", data=table, color=COLOURS[1], marker="o", capsize=3, linewidth=1.8)
    axis.set(
        title="validation accuracy by ensemble size (bar: deviation over subsets)",
        xlabel="members averaged per validation clip", ylabel="accuracy",
    )
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    return figure


def timeline(table, class_names, *, title=""):
    """Who sings over the time of a recording: the class of each window as a bar, and the probabilities.

    Parameters
    ----------
    table : DataFrame
        With ``start`` and ``end`` in seconds, ``category`` and ``probability_0`` and so on, as `Predictor.predict`
        gives it.
    class_names : sequence of str
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (bar, curves) = subplots(2, 1, size=(10, 3.6), sharex=True, height_ratios=(1, 5))
    centres = ((table["start"] + table["end"]) / 2).to_numpy()
    # a bar reaches half-way to the next window, and the first and the last one to the end of the recording
    edges = [table["start"].iloc[0], *(centres[1:] + centres[:-1]) / 2, table["end"].iloc[-1]]
    for category, left, right in zip(table["category"], edges, edges[1:]):
        bar.axvspan(left, right, color=COLOURS[category % len(COLOURS)], linewidth=0)
    bar.set(title=title, yticks=[], xlim=(edges[0], edges[-1]))
    for category, (name, colour) in enumerate(zip(class_names, cycle(COLOURS))):
        curves.plot(centres, table[f"probability_{category}"], ".-", color=colour, label=name)
    curves.set(xlabel="s", ylabel="probability", ylim=(0, 1.02))
    curves.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    curves.grid(alpha=0.3)
    return figure
