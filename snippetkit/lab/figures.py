"""Pictures of song identification; each function returns a matplotlib Figure."""

import itertools

import numpy as np

from ..figures.canvas import COLOURS, subplots


def mixes(levels, titles, *, seconds):
    """Spectrograms side by side, on one scale.

    Parameters
    ----------
    levels : sequence of ndarray, shape (frames, bands)
        In dB relative to the loudest.
    titles : sequence of str
    seconds : float

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, len(levels), size=(4.2 * len(levels), 3), sharey=True, squeeze=False)
    for axis, each, title in zip(axes[0], levels, titles):
        image = axis.imshow(
            each.T, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0, extent=(0, seconds, 0, each.shape[1])
        )
        axis.set(title=title, xlabel="s")
    axes[0, 0].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[0], label="dB")
    return figure


def against_noise(curves):
    """Accuracy over signal to noise.

    Parameters
    ----------
    curves : dict
        Name to DataFrame with ``snr``, ``accuracy`` and ``top5``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(7, 3.6))
    for (name, curve), colour in zip(curves.items(), itertools.cycle(COLOURS)):
        axis.plot(curve["snr"], curve["accuracy"], "o-", color=colour, label=name)
        axis.plot(curve["snr"], curve["top5"], ":", color=colour)
    axis.set(xlabel="signal to noise, dB", ylabel="accuracy (dotted: among the top five)", ylim=(0, 1.02))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def top_five(probabilities, names, *, step):
    """What a recording is taken for: the five likeliest, and how the answer evolves over its windows.

    Parameters
    ----------
    probabilities : ndarray, shape (windows, names)
    names : sequence of str
    step : float
        Seconds from one window to the next.

    Returns
    -------
    matplotlib.figure.Figure
    """
    so_far, best, titles = _best(probabilities, names)
    figure, (left, right) = subplots(1, 2, size=(11, 3.2))
    bars = left.barh(range(len(best)), so_far[-1, best], color=COLOURS[1])
    left.bar_label(bars, [f" {value:.2f}" for value in so_far[-1, best]])
    left.set(xlim=(0, 1.15), xlabel="mean probability over the windows", yticks=range(len(best)), yticklabels=titles)
    left.invert_yaxis()
    _evolve(right, so_far[:, best], titles, step)
    return figure


def evolution(probabilities, names, *, step):
    """How the answer evolves over the windows of a recording, small enough for a phone.

    Parameters
    ----------
    probabilities, names, step
        As in `top_five`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    so_far, best, titles = _best(probabilities, names)
    figure, axis = subplots(1, 1, size=(5, 3))
    _evolve(axis, so_far[:, best], titles, step)
    return figure


def _best(probabilities, names):
    """Means of the windows so far, the five names that end highest, and their titles."""
    so_far = np.cumsum(probabilities, axis=0) / np.arange(1, len(probabilities) + 1)[:, None]
    best = np.argsort(-so_far[-1])[:5]
    return so_far, best, [names[i].replace("$", r"\$") for i in best]     # a name is no formula


def _evolve(axis, so_far, titles, step):
    lines = axis.plot(step * np.arange(len(so_far)), so_far, ".-")
    axis.set(xlabel="window begins at, s", ylabel="mean probability so far", ylim=(0, 1.02))
    axis.legend(lines, titles, fontsize="small")
    axis.grid(alpha=0.3)


def unknown(known, others, threshold):
    """The highest probabilities of recordings of songs that were learned and of others, and the ROC curve they make.

    Parameters
    ----------
    known, others : ndarray, shape (recordings,)
    threshold : float

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = subplots(1, 2, size=(11, 3.2), width_ratios=(2, 1))
    bins = np.linspace(0, 1, 26)
    left.hist(known, bins, alpha=0.7, color=COLOURS[1], label="learned", density=True)
    left.hist(others, bins, alpha=0.7, color=COLOURS[2], label="unknown", density=True)
    left.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    left.set(xlabel="highest probability", ylabel="density")
    left.legend()
    levels = np.concatenate([[np.inf], np.sort(np.concatenate([known, others]))[::-1]])
    right.plot(*([np.mean(each >= level) for level in levels] for each in (others, known)), color=COLOURS[1])
    right.plot(np.mean(others >= threshold), np.mean(known >= threshold), "o", color="black")
    right.plot([0, 1], [0, 1], ":", color="grey")
    right.set(xlabel="unknown songs accepted", ylabel="learned songs accepted", title="ROC")
    return figure


def growth(table):
    """Accuracy and seconds of training over the number of songs.

    Parameters
    ----------
    table : DataFrame
        As `table.growth` gives it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = subplots(1, 2, size=(9, 3))
    left.plot(table["songs"], table["accuracy"], "o-", color=COLOURS[1], label="first")
    left.plot(table["songs"], table["top5"], ":", color=COLOURS[1], label="among five")
    left.set(xlabel="songs", ylabel="accuracy", ylim=(0, 1.02))
    left.legend()
    right.plot(table["songs"], table["seconds"], "o-", color=COLOURS[2])
    right.set(xlabel="songs", ylabel="seconds of training", ylim=(0, None))
    return figure
