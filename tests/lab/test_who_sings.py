"""A finished run predicts recordings of any length as it predicted its own clips."""

import numpy as np
import pytest
from scipy.special import softmax

from snippetkit.lab import sound
from snippetkit.lab.singers.who_sings import WhoSings
from snippetkit.training.members import finished_members
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def who(short_run, cpu):
    return WhoSings(short_run, device=cpu)


@pytest.fixture(scope="module")
def signals(who, small_competition):
    """Three test clips."""
    return [sound.load(path, **who.wanted) for path in small_competition.test[:3]]


def test_a_clip_is_predicted_as_in_the_submission(who, signals, short_run):
    members = finished_members(short_run / "members")
    logits = [np.load(short_run / "members" / f"member_{member:02d}" / "test_logits.npy") for member in members]
    expected = softmax(np.mean(logits, axis=0, dtype=np.float64), axis=1)
    for signal, probabilities in zip(signals, expected):
        np.testing.assert_allclose(who.probabilities(signal), [probabilities], atol=0.02)


def test_a_recording_is_predicted_once_a_second(who, signals):
    probabilities = who.probabilities(np.concatenate(signals))
    assert probabilities.shape == (7, 4) and np.allclose(probabilities.sum(axis=1), 1)
    for window, signal in zip((0, 3, 6), signals):
        np.testing.assert_allclose(probabilities[window], who.probabilities(signal)[0], atol=1e-4)


def test_a_short_recording_is_followed_by_silence(who, signals):
    short = signals[0][: len(signals[0]) // 2]
    padded = np.concatenate([short, np.zeros(len(signals[0]) - len(short), np.float32)])
    assert np.array_equal(who.probabilities(short), who.probabilities(padded))


def test_levels_are_relative_to_the_loudest_point(who, signals):
    levels = who.levels(signals[0])
    assert levels.shape == (299, 40) and levels.max() == 0
    assert np.allclose(levels, who.levels(np.stack([signals[0]] * 2, axis=1)))      # two equal channels


def test_a_folder_without_members_is_refused(tmp_path):
    with pytest.raises(KitError, match="there is no finished member"):
        WhoSings(tmp_path)
