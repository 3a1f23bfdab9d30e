"""Every picture of the lab can be drawn, and shows the numbers that it was given."""

import numpy as np
import pandas as pd
import pytest

from snippetkit.data.labels import CLASSES
from snippetkit.lab import pictures


@pytest.fixture
def table():
    return pd.DataFrame({"method": ["SVM", "k-NN"], "features": "bands", "accuracy": [0.8, 0.6], "low": [0.7, 0.5],
                         "high": [0.9, 0.7]})


def texts(axis):
    return [label.get_text() for label in (*axis.get_yticklabels(), *axis.get_legend().get_texts())]


def test_accuracies_have_a_row_per_method(table):
    (axis,) = pictures.accuracies(table, chance=0.25).axes
    assert {"SVM · bands", "k-NN · bands", "guessing"} <= set(texts(axis))
    assert axis.lines[0].get_xdata().tolist() == [0.8, 0.6] and axis.lines[1].get_xdata() == [0.25, 0.25]
    assert axis.get_ylim() == (1.5, -0.5)       # the first row is on top


def test_gaps_have_a_panel_per_table(table):
    gaps = table.assign(apart=[0.5, 0.4], random=[0.7, 0.8])
    first, second = pictures.gaps({"here": gaps, "there": gaps}).axes
    assert [first.get_title(), second.get_title()] == ["here", "there"]
    assert [line.get_xdata().tolist() for line in second.lines] == [[0.5, 0.4], [0.7, 0.8]]


def test_spectrograms_share_a_scale_and_have_low_bands_at_the_bottom():
    levels = np.linspace(-90, 0, 50).reshape(5, 10)
    one, two, _ = pictures.mixes([levels, levels / 2], ["a", "b"], seconds=2.0).axes
    assert one.images[0].get_clim() == two.images[0].get_clim() == (-80, 0)
    assert one.images[0].get_extent() == [0, 2.0, 0, 10] and one.images[0].origin == "lower"
    assert np.array_equal(one.images[0].get_array(), levels.T)


def test_an_empty_class_activation_is_named():
    features = np.ones((20, 8), np.float32)
    maps = {"saliency": features, "class activation": features}
    clips = {"right": (features, maps), "wrong": (features, maps | {"class activation": 0 * features})}
    figure = pictures.explained(clips, seconds=3.0)
    assert [axis.get_title() for axis in figure.axes] == [
        "right", "saliency", "class activation", "wrong", "saliency", "class activation: zero everywhere",
    ]
    assert [len(axis.images) for axis in figure.axes] == [1, 2, 2, 1, 2, 1]


@pytest.mark.parametrize("truth", [None, [(0, 1.0, 2)]])
def test_a_stream_has_a_line_per_class(truth):
    decisions = pd.DataFrame({"seconds": [0.5, 1.0], "probabilities": list(np.eye(4)[[0, 1]])})
    wave, axis = pictures.stream(np.linspace(-1, 1, 8000), 8000, decisions, truth).axes
    assert wave.dataLim.y0 == -1 and wave.dataLim.y1 == 1
    assert texts(axis)[-4:] == list(CLASSES) and len(axis.patches) == len(truth or ())
    assert axis.lines[1].get_ydata().tolist() == [0, 1] and axis.get_xlim() == (0, 1)


def test_noise_curves_have_two_lines_each():
    curve = pd.DataFrame({"snr": [0, 10], "accuracy": [0.5, 0.7], "top5": [0.8, 0.9]})
    (axis,) = pictures.against_noise({"dense": curve, "alexnet": curve}).axes
    assert texts(axis)[-2:] == ["dense", "alexnet"] and len(axis.lines) == 4
    published = {"alexnet": (0.9, -5, 20), "resnet50": (0.94, -5, 20)}
    (axis,) = pictures.against_noise({"dense": curve, "alexnet": curve}, published).axes
    assert texts(axis)[-1] == "alexnet, published" and len(axis.lines) == 5
    assert axis.lines[-1].get_xydata().tolist() == [[-5, 0.9], [20, 0.9]]


def test_the_likeliest_names_are_drawn_with_their_final_means():
    probabilities = np.array([[0.6, 0.1, 0.1, 0.1, 0.05, 0.05], [0.2, 0.5, 0.1, 0.1, 0.05, 0.05]])
    names = ["a", "b", "c $1", "d", "e", "f"]
    left, right = pictures.top_five(probabilities, names, step=0.5).axes
    assert [patch.get_width() for patch in left.patches] == pytest.approx([0.4, 0.3, 0.1, 0.1, 0.05])
    assert [label.get_text() for label in left.get_yticklabels()][:3] == ["a", "b", r"c \$1"]
    assert right.lines[0].get_xdata().tolist() == [0, 0.5]
    assert right.lines[0].get_ydata() == pytest.approx([0.6, 0.4])


def test_the_roc_curve_ends_at_both_corners():
    _, roc = pictures.unknown(np.array([0.9, 0.6]), np.array([0.2, 0.7]), 0.5).axes
    false, true = np.array(roc.lines[0].get_xdata()), np.array(roc.lines[0].get_ydata())
    assert (false[0], true[0]) == (0, 0) and (false[-1], true[-1]) == (1, 1)
    assert [value.item() for value in (roc.lines[1].get_xdata()[0], roc.lines[1].get_ydata()[0])] == [0.5, 1]


def test_growth_is_drawn_over_the_number_of_songs():
    growth = pd.DataFrame({"songs": [3, 6], "accuracy": [0.9, 0.8], "top5": [1, 1], "seconds": [10, 20]})
    left, right = pictures.growth(growth).axes
    assert left.lines[0].get_ydata().tolist() == [0.9, 0.8] and right.lines[0].get_ydata().tolist() == [10, 20]
