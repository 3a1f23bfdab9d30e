"""Pictures of sound: waveform, spectrogram, log-mel features and filterbank."""

from itertools import cycle

import librosa.display
import matplotlib.pyplot as plt
import numpy as np

from .. import filterbank
from ..features.extraction import band_statistics
from ..recipe import Recipe
from .canvas import COLOURS, subplots

_PUBLISHED = Recipe.published()
_KIND = {"mel": "log-mel", "log": "log-frequency"}
_SPACING = {"mel": "mel", "log": "the logarithm"}
_FLOOR = -80  # dB below the loudest that a spectrogram shows


def clip(signal, recipe=_PUBLISHED, *, title=""):
    """Waveform, spectrogram and log-mel features of one clip, one below the other on the same time axis.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
        At ``recipe.sample_rate``.
    recipe : Recipe
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (wave, spectrum, mel) = subplots(3, 1, size=(9, 7.5), sharex=True)
    wave.plot(np.arange(len(signal)) / recipe.sample_rate, signal, color=COLOURS[1], linewidth=0.5)
    wave.set(
        title=title or "waveform", ylabel="amplitude", ylim=(-1.05, 1.05), xlim=(0, len(signal) / recipe.sample_rate)
    )
    image = _spectrogram(spectrum, signal, recipe)
    spectrum.set(title="power spectrogram", xlabel="", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=spectrum, label="dB below loudest")
    image = _features(mel, signal, recipe)
    mel.set(title=f"{_KIND[recipe.scale]} features, the input of the network", ylabel="band")
    figure.colorbar(image, ax=mel, label="20 log10 energy")
    return figure


def separation(parts, recipe=_PUBLISHED, *, title=""):
    """Spectrograms of a clip and of its parts side by side, on one scale.

    Parameters
    ----------
    parts : dict
        Name to ndarray, shape (samples,), at ``recipe.sample_rate``; the mixture first.
    recipe : Recipe
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, len(parts), size=(4.5 * len(parts), 3.4), sharey=True, squeeze=False)
    loudest = _power(next(iter(parts.values())), recipe).max()
    for axis, (name, signal) in zip(axes[0], parts.items()):
        image = _spectrogram(axis, signal, recipe, loudest=loudest)
        axis.set(title=name, ylabel="frequency (kHz)" if axis is axes[0, 0] else "")
    figure.colorbar(image, ax=axes, label="dB below the mixture's loudest")
    figure.suptitle(title)
    return figure


def gallery(signals, class_names, recipe=_PUBLISHED):
    """Log-mel features of a few clips of every class, one row per class.

    Parameters
    ----------
    signals : list of list of ndarray, shape (samples,)
        One list a class.
    class_names : sequence of str
    recipe : Recipe

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, columns = len(signals), max(map(len, signals))
    figure, axes = subplots(rows, columns, size=(2.9 * columns, 1.9 * rows), sharex=True, sharey=True, squeeze=False)
    for row, name, colour, row_axes in zip(signals, class_names, cycle(COLOURS), axes):
        for axis in row_axes[len(row):]:
            axis.set_axis_off()
        for axis, signal in zip(row_axes, row):
            _features(axis, signal, recipe)
            axis.set(xlabel="", yticks=[])
        row_axes[0].set_ylabel(name.replace(" voice", "\nvoice"), color=colour, fontweight="bold")
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    return figure


def heard(found, *, most=12):
    """What pretrained networks hear in a clip: the most probable tags, and the notes over time.

    Parameters
    ----------
    found : dict
        As `pretrained.extraction.hear` gives it.
    most : int
        Tags that are shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, len(found), size=(5.2 * len(found), 3.8), squeeze=False)
    for axis, (name, values) in zip(axes[0], found.items()):
        axis.set_title(name.replace("_", ", "))
        if isinstance(values, dict):
            tags = sorted(values.items(), key=lambda tag: tag[1])[-most:]
            axis.barh(*zip(*tags), color=COLOURS[1])
            axis.set_xlabel("probability")
        else:
            seconds = 256 / 22_050 * len(values)
            axis.imshow(values.T, origin="lower", aspect="auto", vmin=0, vmax=1, extent=(0, seconds, 21, 109))
            axis.set(xlabel="time (s)", ylabel="pitch (MIDI)")
    return figure


def triangles(recipe=_PUBLISHED):
    """The triangles of the filterbank over frequency.

    Returns
    -------
    matplotlib.figure.Figure
    """
    filters = filterbank.recipe_triangles(recipe)
    kilohertz = np.arange(filters.shape[1]) * recipe.sample_rate / recipe.n_fft / 1000
    figure, axis = subplots(1, 1, size=(9, 2.8))
    for band, weights in enumerate(filters):
        axis.plot(kilohertz, weights, color=plt.cm.viridis(band / len(filters)), linewidth=1.2)
    axis.set(
        title=f"{len(filters)} triangles, evenly spaced in {_SPACING[recipe.scale]} "
        f"from {recipe.f_min:g} to {recipe.f_max:g} Hz",
        xlabel="frequency (kHz)", ylabel="weight", xlim=(kilohertz[0], kilohertz[-1]), ylim=(0, 1.05 * filters.max()),
    )
    return figure


def band_levels(arrays):
    """Mean level of every band, plus and minus one standard deviation.

    Parameters
    ----------
    arrays : dict
        Split to ndarray, shape (clips, frames, bands), in dB; one without clips is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(1, 1, size=(9, 3.2))
    arrays = {split: array for split, array in arrays.items() if len(array)}
    for (split, array), colour in zip(arrays.items(), COLOURS[1:]):
        mean, deviation = band_statistics(array)
        bands = np.arange(len(mean))
        axis.plot(bands, mean, color=colour, linewidth=2, label=split)
        axis.fill_between(bands, mean - deviation, mean + deviation, color=colour, alpha=0.15)
    axis.set(title="mean level of each band (shaded: ± one deviation)", xlabel="band", ylabel="20 log10 energy")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def _power(signal, recipe):
    frames = filterbank.frame(np.asarray(signal), length=recipe.frame_length, hop=recipe.hop)
    return filterbank.power_spectrum(frames, n_fft=recipe.n_fft, window=recipe.window).T


def _spectrogram(axis, signal, recipe, *, loudest=None):
    power = _power(signal, recipe)
    # Ten times the logarithm, because it is power; the floor avoids a division by zero for silence.
    level = 10 * np.log10(np.maximum(power, 1e-12) / max(loudest or power.max(), 1e-12))
    image = librosa.display.specshow(
        level, sr=recipe.sample_rate, hop_length=recipe.hop, n_fft=recipe.n_fft,
        x_axis="time", y_axis="linear", ax=axis, vmin=_FLOOR, vmax=0, cmap="magma",
    )
    axis.yaxis.set_major_formatter(lambda hertz, _: f"{hertz / 1000:g}")
    axis.set_xlabel("time (s)")
    return image


def _features(axis, signal, recipe):
    values = filterbank.log_mel(signal, recipe).T
    seconds = values.shape[1] * recipe.hop * recipe.pool / recipe.sample_rate
    image = axis.imshow(
        values, origin="lower", aspect="auto", interpolation="nearest", extent=(0, seconds, 0, len(values)),
        cmap="magma", vmin=values.max() + 2 * _FLOOR, vmax=values.max(),
    )
    axis.set_xlabel("time (s)")
    return image
