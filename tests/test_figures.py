"""Figures show the data that they were given; players and links contain their files."""

import base64
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import make_data, with_songs

from snippetkit import figures, filterbank
from snippetkit.data.labels import CLASSES
from snippetkit.notebook import download_link, players
from snippetkit.prediction.evaluation import accuracy_by_size

matplotlib.use("Agg")   # draws without a screen
TONE = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 16_000)


def axis_titled(figure, title):
    return next(axis for axis in figure.axes if title in axis.get_title())


def image_of(axis):
    return (axis.images or axis.collections)[0].get_array()


def test_a_clip_shows_what_the_network_sees():
    figure = figures.clip(TONE, title="7.mp3")
    assert figure.axes[0].get_title() == "7.mp3"
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), TONE)
    np.testing.assert_allclose(image_of(axis_titled(figure, "log-mel")), filterbank.log_mel(TONE).T)
    spectrum = image_of(axis_titled(figure, "power spectrogram"))
    assert spectrum.shape == (513, 299) and spectrum.mean(axis=1).argmax() == 1000 * 1024 / 16_000


def test_a_clip_and_its_vocals_are_drawn_on_one_scale():
    figure = figures.separation({"mixture": TONE, "vocals": 0.1 * TONE}, title="7.mp3")
    mixture, vocals = (image_of(axis_titled(figure, name)) for name in ("mixture", "vocals"))
    assert mixture.max() == 0 and vocals.max() == pytest.approx(-20)


def test_songs_are_drawn_by_their_size_and_folds_by_their_classes():
    labels = np.array([0, 1, 2, 3, 3, 3, 1, 1])
    group, fold = np.array([[0, 0, 0, 1, 1, 2, 3, 3], [0, 0, 0, 1, 1, 1, 0, 0]])
    figure = figures.songs(with_songs(make_data(seed=0, clips=8), group, fold).songs, labels, CLASSES)
    axis = axis_titled(figure, "size")
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2-3"]
    assert [bar.get_height() for bar in axis.containers[0]] == [1, 7]   # one clip alone, two songs of two, one of three
    heights = [[bar.get_height() for bar in bars] for bars in axis_titled(figure, "folds").containers]
    assert heights == [[1, 0], [3, 0], [1, 0], [0, 3]]


def test_the_energy_of_vocals_is_drawn_class_by_class():
    shares = np.array([-30, -20, np.nan, -3, -1, -2])
    axis = figures.vocal_shares(shares, np.array([0, 0, 0, 1, 3, 3]), CLASSES).axes[0]      # no clip of class 2
    assert [label.get_text() for label in axis.get_yticklabels()] == list(CLASSES)
    medians = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1}
    assert medians == {0: -25, 1: -3, 3: -1.5}


def test_silence_and_no_finished_epoch_can_be_drawn(tmp_path):
    for figure in (figures.clip(np.zeros(48_000)), figures.learning_curves({})):
        figures.save(figure, tmp_path / "figure.png")


def test_the_triangles_are_those_of_the_filterbank():
    lines = figures.triangles().axes[0].lines
    np.testing.assert_array_equal([line.get_ydata() for line in lines], filterbank.mel_triangles())


def test_a_gallery_row_a_class_even_where_clips_are_few():
    axes = figures.gallery([[TONE, TONE], [TONE], [], [TONE, TONE]], CLASSES).axes
    assert [axis.get_ylabel().replace("\n", " ") for axis in axes[::2]] == list(CLASSES)
    assert sum(bool(axis.images) for axis in axes) == 5


def test_learning_curves_draw_every_member_and_the_mean():
    curves = ["train_loss", "train_accuracy", "valid_loss", "valid_accuracy"]
    history = pd.DataFrame({"epoch": [1, 2, 3], **dict.fromkeys(curves, [0.0, 1.0, 2.0]), "device": "CPU"})
    other = history.head(2).assign(**dict.fromkeys(curves, [1.0, 2.0]))
    lines = figures.learning_curves({0: history, 4: other}).axes[0].lines
    assert len(lines) == 2 * (2 + 1)
    np.testing.assert_allclose(lines[2].get_ydata(), [0.5, 1.5, 2.0])  # the third epoch has one member only


@pytest.mark.parametrize("rates, restarts", [
    ([2, 1, 3, 2, 1, 3], [3.5]),    # as published: it restarts half-way and after the last epoch
    ([1, 2, 3, 2, 1, 0], []),       # one-cycle
])
def test_restarts_of_the_schedule_are_marked(rates, restarts):
    curves = ["train_loss", "train_accuracy", "valid_loss", "valid_accuracy"]
    history = pd.DataFrame({"epoch": range(1, 7), "lr": rates, **dict.fromkeys(curves, 0.5)})
    lines = [line for line in figures.learning_curves({0: history}).axes[0].lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in lines] == restarts


def test_confusion_shows_counts_and_shares():
    matrix = [[8, 2, 0, 0], [0, 5, 0, 0], [1, 0, 9, 10], [0, 0, 0, 0]]
    axis = figures.confusion(matrix, CLASSES).axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts[0] == "8\n80%" and texts[11] == "10\n50%" and texts[15] == "0\n0%"


def test_ensemble_size_draws_mean_and_deviation():
    table = accuracy_by_size(np.random.default_rng(0).normal(size=(4, 30, 4)), np.zeros(30, int))
    axis = figures.ensemble_size(table).axes[0]
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), table["mean"])
    assert axis.collections, "no error bars"


def test_class_counts_and_band_levels():
    bars = figures.class_counts([1, 2, 3, 4], CLASSES).axes[0].patches
    assert [bar.get_width() for bar in bars] == [1, 2, 3, 4]
    assert len({bar.get_facecolor() for bar in bars}) == 4
    array = np.random.default_rng(0).normal(size=(5, 20, 40))
    drawn = figures.band_levels({"train": array}).axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, array.mean(axis=(0, 1)))


def test_no_figure_stays_open_and_none_is_half_saved(tmp_path):
    path = tmp_path / "new" / "triangles.png"
    shown = figures.save(figures.triangles(), path)
    assert path.read_bytes().startswith(b"\x89PNG") and shown.data == path.read_bytes()
    assert not matplotlib.pyplot.get_fignums()


def test_players_carry_their_sound(small_competition):
    shown = players({"no <voice>": small_competition.train[0], "tone": (TONE, 16_000), "lost": "nowhere.mp3"}).data
    assert "lost</figcaption>cannot be read: No such file" in shown
    assert shown.count("<audio") == 2 and "no &lt;voice&gt;" in shown and shown.count("base64,") == 2


def test_the_link_holds_the_file(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(b"id,category\n0,3\n")
    link = download_link(path).data
    assert 'download="submission.csv"' in link
    assert base64.b64decode(re.search(r"base64,([^\"]+)", link)[1]) == path.read_bytes()


def test_what_pretrained_networks_hear_is_drawn():
    notes = np.zeros((259, 88))
    notes[:, 48] = 0.9
    tags = {f"tag {i}": i / 20 for i in range(20)}
    figure = figures.heard({"musicnn_vocals": tags, "notes_vocals": notes}, most=3)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["tag 17", "tag 18", "tag 19"]
    image = axis_titled(figure, "notes, vocals").images[0]
    assert image.get_array().argmax(axis=0)[0] == 48 and image.get_extent()[2:] == [21, 109]   # 69, A4, in row 48


def test_more_classes_than_colours_are_all_drawn():
    names = [f"class {i}" for i in range(len(figures.canvas.COLOURS) + 2)]
    probabilities = {f"probability_{label}": [0.1, 0.2] for label in range(len(names))}
    table = pd.DataFrame({"start": [0, 1], "end": [3, 4], "category": [0, len(names) - 1], **probabilities})
    _, curves = figures.timeline(table, names).axes
    assert [line.get_label() for line in curves.lines] == names
