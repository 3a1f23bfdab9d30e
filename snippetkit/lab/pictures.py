"""Every picture of the lab; each function returns a matplotlib Figure."""

import itertools

import numpy as np

from ..data.labels import CLASSES
from ..figures.canvas import COLOURS, subplots

_COLUMNS = 1000     # of a waveform


def accuracies(table, *, chance):
    """Accuracy of every method with its confidence interval, the best on top.

    Parameters
    ----------
    table : DataFrame
        As `methods.sorted_table` returns it.
    chance : float
        Accuracy of guessing.
    """
    figure, axis = subplots(1, 1, size=(9, 0.9 + 0.21 * len(table)))
    rows = np.arange(len(table))
    axis.hlines(rows, table["low"], table["high"], color=COLOURS[1], alpha=0.5)
    axis.plot(table["accuracy"], rows, "o", color=COLOURS[1], markersize=4)
    axis.axvline(chance, color="grey", linestyle=":", label="guessing")
    names = [f"{method} · {features}" for method, features in zip(table["method"], table["features"])]
    axis.set_yticks(rows, names, fontsize=7)
    _finish_rows(axis, rows, xlabel="accuracy, and 95% over songs or artists")
    axis.legend(loc="lower right")
    return figure


def gaps(tables):
    """Accuracies with random folds beside those with folds that keep artists apart.

    Parameters
    ----------
    tables : dict
        Title to DataFrame, as `splits.compare_splits` returns it.
    """
    figure, axes = subplots(1, len(tables), size=(6 * len(tables), 3), squeeze=False)
    for axis, (title, table) in zip(axes[0], tables.items()):
        rows = np.arange(len(table))
        axis.hlines(rows, table["apart"], table["random"], color="grey")
        axis.plot(table["apart"], rows, "o", color=COLOURS[1], label="artists apart")
        axis.plot(table["random"], rows, "s", color=COLOURS[2], label="random folds")
        axis.set_yticks(rows, table["method"])
        _finish_rows(axis, rows, xlabel="accuracy", title=title)
    axes[0, 0].legend(loc="lower left")
    return figure


def _finish_rows(axis, rows, **labels):
    axis.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), **labels)
    axis.grid(alpha=0.3, axis="x")


def mixes(levels, titles, *, seconds):
    """Spectrograms side by side, on one scale.

    Parameters
    ----------
    levels : sequence of ndarray, shape (frames, bands)
        In dB relative to the loudest point.
    titles : sequence of str
    seconds : float
        Length of each.
    """
    figure, axes = subplots(1, len(levels), size=(4.2 * len(levels), 3), sharey=True, squeeze=False)
    for axis, spectrogram, title in zip(axes[0], levels, titles):
        image = _show_spectrogram(axis, spectrogram, seconds, cmap="magma", vmin=-80, vmax=0)
        axis.set(title=title, xlabel="s")
    axes[0, 0].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[0], label="dB")
    return figure


def _show_spectrogram(axis, values, seconds, **options):
    return axis.imshow(values.T, origin="lower", aspect="auto", extent=(0, seconds, 0, values.shape[1]), **options)


def explained(clips, *, seconds):
    """One row per clip: its features, and each of its explanations on top of them.

    Parameters
    ----------
    clips : dict
        Title to a pair: features, ndarray (frames, bands), and a dict of name to explanation, of the same shape.
    seconds : float
        Length of a clip.
    """
    columns = 1 + max(len(maps) for _, maps in clips.values())
    size = (4 * columns, 2.6 * len(clips))
    figure, axes = subplots(len(clips), columns, size=size, sharex=True, sharey=True, squeeze=False)
    for row, (title, (features, maps)) in zip(axes, clips.items()):
        for axis, (name, values) in zip(row, [(title, None), *maps.items()]):
            _show_spectrogram(axis, features, seconds, cmap="gray")
            if values is not None and values.any():
                _show_spectrogram(axis, values, seconds, cmap="inferno", alpha=0.6)
            is_empty = values is not None and not values.any()
            axis.set_title(f"{name}: zero everywhere" if is_empty else name, fontsize="medium")
        row[0].set_ylabel("band")
    for axis in axes[-1]:
        axis.set_xlabel("s")
    return figure


def stream(signal, sample_rate, decisions, truth=None):
    """The waveform of a recording, and below it the probabilities as they were decided.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int
        In Hz.
    decisions : DataFrame
        As `streaming.run_stream` returns it.
    truth : sequence of (start, end, class), or None
        In seconds; drawn as a strip at the bottom.
    """
    figure, (wave, axis) = subplots(2, 1, size=(10, 4.8), sharex=True, height_ratios=(2, 3))
    blocks = np.array_split(signal, min(len(signal), _COLUMNS))    # a line per sample would be slow
    times = np.linspace(0, len(signal) / sample_rate, len(blocks))
    wave.fill_between(times, [block.min() for block in blocks], [block.max() for block in blocks], color="0.3")
    wave.set(ylabel="amplitude", ylim=(-1.05, 1.05))
    probabilities = np.stack(decisions["probabilities"])
    for label, (name, colour) in enumerate(zip(CLASSES, COLOURS)):
        axis.step(decisions["seconds"], probabilities[:, label], where="post", color=colour, label=name)
    for start, end, label in truth or ():
        axis.axvspan(start, end, ymax=0.05, color=COLOURS[label])
    axis.set(xlabel="s", ylabel="probability", ylim=(-0.08 if truth else 0, 1.02), xlim=(0, times[-1]))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper right", ncols=len(CLASSES), fontsize="small")
    return figure


def against_noise(curves, published=None):
    """Accuracy over the signal-to-noise ratio.

    Parameters
    ----------
    curves : dict
        Name to DataFrame with ``snr``, ``accuracy`` and ``top5``.
    published : dict or None
        Name to an accuracy that others published for mixes at random ratios, and the lowest and highest ratio; those of
        other names than the curves' are left out.
    """
    figure, axis = subplots(1, 1, size=(7, 3.6))
    for (name, curve), colour in zip(curves.items(), itertools.cycle(COLOURS)):
        axis.plot(curve["snr"], curve["accuracy"], "o-", color=colour, label=name)
        axis.plot(curve["snr"], curve["top5"], ":", color=colour)
        if name in (published or {}):
            accuracy, *ratios = published[name]
            axis.plot(ratios, [accuracy] * 2, "--", color=colour, label=f"{name}, published")
    axis.set(xlabel="signal to noise, dB", ylabel="accuracy (dotted: among the top five)", ylim=(0, 1.02))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def top_five(probabilities, names, *, step):
    """The five likeliest names for a recording, and how their mean probabilities develop over its windows.

    Parameters
    ----------
    probabilities : ndarray, shape (windows, names)
    names : sequence of str
    step : float
        Seconds from one window to the next.
    """
    means = np.cumsum(probabilities, axis=0) / np.arange(1, len(probabilities) + 1)[:, None]
    best = np.argsort(-means[-1])[:5]
    titles = [names[i].replace("$", r"\$") for i in best]   # matplotlib reads $…$ as a formula
    figure, (left, right) = subplots(1, 2, size=(11, 3.2))
    bars = left.barh(range(len(best)), means[-1, best], color=COLOURS[1])
    left.bar_label(bars, [f" {value:.2f}" for value in means[-1, best]])
    left.set(xlim=(0, 1.15), xlabel="mean probability over the windows", yticks=range(len(best)), yticklabels=titles)
    left.invert_yaxis()
    lines = right.plot(step * np.arange(len(means)), means[:, best], ".-")
    right.set(xlabel="start of the window, s", ylabel="mean probability so far", ylim=(0, 1.02))
    right.legend(lines, titles, fontsize="small")
    right.grid(alpha=0.3)
    return figure


def unknown(known, others, threshold):
    """Highest probabilities of recordings of learned songs and of others, and the ROC curve that they make.

    Parameters
    ----------
    known, others : ndarray, shape (recordings,)
    threshold : float
    """
    figure, (left, right) = subplots(1, 2, size=(11, 3.2), width_ratios=(2, 1))
    bins = np.linspace(0, 1, 26)
    left.hist(known, bins, alpha=0.7, color=COLOURS[1], label="learned", density=True)
    left.hist(others, bins, alpha=0.7, color=COLOURS[2], label="unknown", density=True)
    left.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    left.set(xlabel="highest probability", ylabel="density")
    left.legend()
    levels = np.concatenate([[np.inf], np.sort(np.concatenate([known, others]))[::-1]])
    right.plot(*([np.mean(highest >= level) for level in levels] for highest in (others, known)), color=COLOURS[1])
    right.plot(np.mean(others >= threshold), np.mean(known >= threshold), "o", color="black")
    right.plot([0, 1], [0, 1], ":", color="grey")
    right.set(xlabel="unknown songs accepted", ylabel="learned songs accepted", title="ROC")
    return figure


def growth(table):
    """Accuracy and training time over the number of songs.

    Parameters
    ----------
    table : DataFrame
        As `comparison.measure_growth` returns it.
    """
    figure, (left, right) = subplots(1, 2, size=(9, 3))
    left.plot(table["songs"], table["accuracy"], "o-", color=COLOURS[1], label="first")
    left.plot(table["songs"], table["top5"], ":", color=COLOURS[1], label="among five")
    left.set(xlabel="songs", ylabel="accuracy", ylim=(0, 1.02))
    left.legend()
    right.plot(table["songs"], table["seconds"], "o-", color=COLOURS[2])
    right.set(xlabel="songs", ylabel="seconds of training", ylim=(0, None))
    return figure
