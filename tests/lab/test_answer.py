"""Answers of the page as HTML, with any number of classes, and the addresses that `app` prints."""

import re
import socket

import numpy as np
import pytest

from snippetkit.lab.page.answer import Answer, message


def make_answer(probabilities, **changes):
    probabilities = np.array(probabilities)
    names = [f"class {i}" for i in range(probabilities.shape[1])]
    title = names[probabilities.mean(axis=0).argmax()]
    about = {"step": 1.0, "window": 3.0, "seconds": 2.0 + len(probabilities)}
    return Answer(**{"question": "Which?", "title": title, "names": names, "probabilities": probabilities, **about,
                     **changes})


def test_one_window_has_a_percentage_and_no_timeline():
    text = make_answer([[0.126, 0.874]]).html()
    assert '<span class="name">class 1</span> <span class="percentage">87%</span>' in text
    assert "timeline" not in text and "figure" not in text


def test_a_timeline_lasts_as_long_as_the_recording_and_says_what_it_shows():
    text = make_answer([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], seconds=65.5).html()
    widths = [float(width) for width in re.findall(r"flex:([\d.]+)", text)]
    assert widths == [2, 1, 62.5]       # half-way to the next window, and to the end of the recording
    assert 'aria-label="0:00 to 0:03 class 0; 0:03 to 1:05 class 1"' in text
    colours = re.findall(r"flex:[\d.]+;background:(#\w+)", text)
    assert colours[0] == colours[1] != colours[2]


@pytest.mark.parametrize("classes", [2, 8, 9, 57])
def test_any_number_of_classes_has_distinct_colours(classes):
    probabilities = np.full((classes, classes), 0.1) + np.eye(classes) * np.linspace(0.5, 0.8, classes)
    text = make_answer(probabilities).html()
    colours = re.findall(r"flex:[\d.]+;background:(#\w+)", text)
    legend = re.search('class="legend">(.*?)</ul>', text)[1]
    assert len(colours) == classes and len(set(colours)) == legend.count("<li>") == (classes if classes <= 8 else 6)
    assert ("others" in legend) == (classes > 8) and text.count('class="bar"') == min(classes, 5)


def test_an_unknown_song_has_no_percentage():
    text = make_answer([[0.5, 0.5]], title="unknown song").html()
    assert '<span class="name">unknown song</span> <span class="percentage"></span>' in text


def test_names_are_text_and_not_html():
    text = make_answer([[0.9, 0.1], [0.2, 0.8]], names=["<b>", '"&'], title="<b>", notes=["<i>"]).html()
    assert "<b>" not in text and "<i>" not in text and '""&' not in text
    assert "&lt;script&gt;" in message("<script>", "<Which?>") and "<Which" not in message("", "<Which?>")


@pytest.mark.parametrize("report, notes", [
    ({}, []),
    ({"is_demo": True, "validation": {"split": "songs", "accuracy": 0.714}},
     ["Trained on synthetic songs: the answer says little about real music.",
      "Accuracy on clips of unseen songs: 71%."]),
    ({"is_demo": False, "validation": {"split": "random", "accuracy": 0.87}},
     ["Validation accuracy: 87%, on clips of songs that were partly in the training set. On unseen songs it is "
      "lower."]),
])
def test_notes_say_what_the_accuracy_was_measured_on(report, notes):
    from snippetkit.lab.page import systems

    assert systems._notes(report) == notes


def test_the_addresses_of_the_page_can_be_opened():
    pytest.importorskip("gradio", reason="makes the page: pip install -r requirements-lab.txt")
    from snippetkit.lab.page.app import reachable_names

    assert reachable_names("some.host") == ["some.host"]
    with socket.create_server(("0.0.0.0", 0)) as server:
        names = reachable_names("0.0.0.0")
        assert names[0] == "127.0.0.1" and "0.0.0.0" not in names
        for name in names:
            socket.create_connection((name, server.getsockname()[1]), timeout=10).close()
