"""A finished run predicts recordings of any length as it predicted its own clips."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data
from scipy.special import softmax

from snippetkit.lab import sound
from snippetkit.lab.singers.who_sings import WhoSings
from snippetkit.recipe import Recipe
from snippetkit.training.ensemble import train_ensemble
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


STAND_IN = """#!{python}
import sys
import numpy as np
print("ready", flush=True)
for line in sys.stdin:
    mixture, vocals = line.strip().split("\\t")
    np.save(vocals, np.load(mixture) / 2)
    print("done", flush=True)
"""


@pytest.fixture(params=["stand-in", pytest.param("package", marks=pytest.mark.slow)])
def spleeter_weights(request, tmp_path, monkeypatch):
    """Weights for the Spleeter package, or for a program that takes its place and halves all samples."""
    if request.param == "package":
        return request.getfixturevalue("package_weights")
    program = tmp_path / "python"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("SPLEETER_PYTHON", str(program))
    return request.getfixturevalue("weights")


def test_the_spleeter_package_separates_until_nobody_needs_it(spleeter_weights, small_competition, cpu, tmp_path):
    recipe = Recipe.published().with_values(
        separator="spleeter", model="cnn3", split="songs", folds=3, members=1, epochs=1, batch_size=16,
    )
    train_ensemble(tmp_path / "members", recipe, make_data(seed=0, clips=24, frames=299), devices=[cpu])
    who = WhoSings(tmp_path, weights=spleeter_weights, device=cpu)
    signal = sound.load(small_competition.test[0], **who.wanted)
    for seconds in (3, 5):      # of two recordings
        probabilities = who.probabilities(np.resize(signal, (seconds * 44_100, signal.shape[1])))
        assert probabilities.shape == (seconds - 2, 4) and np.isfinite(probabilities).all()
    temporary = set(Path(tempfile.gettempdir()).glob("snippetkit-spleeter-*"))
    del who
    assert len(temporary - set(Path(tempfile.gettempdir()).glob("snippetkit-spleeter-*"))) == 1


def test_a_folder_without_members_is_refused(tmp_path):
    with pytest.raises(KitError, match="there is no finished member"):
        WhoSings(tmp_path)
