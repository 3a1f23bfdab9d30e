"""Rhythm and percentiles beside the 518 numbers, and what each set of numbers is worth."""

import numpy as np
import pytest

from snippetkit.lab import feature_sets
from snippetkit.lab.cache import Comparison
from snippetkit.lab.genres import recordings, splits
from snippetkit.lab.handcrafted import feature_names, frame_features
from snippetkit.utils.errors import KitError

RATE = 22_050


def clicks(*, every, seconds=6):
    """A soft tone with a burst of noise at regular times."""
    time = np.arange(seconds * RATE) / RATE
    bursts = np.random.default_rng(0).normal(0, 0.3, len(time)) * np.exp(-100 * (time % every))
    return (0.02 * np.sin(2 * np.pi * 330 * time) + bursts).astype(np.float32)


@pytest.fixture(scope="module")
def sound():
    return clicks(every=0.5)


def test_tempo_and_onsets_are_those_of_the_sound(sound):
    curves, rates = feature_sets.rhythm(sound, RATE)
    assert rates["tempo"] == pytest.approx(120, abs=4)
    assert rates["onset_rate"] == pytest.approx(2, abs=0.4)
    assert rates["percussive_onset_rate"] == pytest.approx(2, abs=0.4)
    assert {curve.shape for curve in curves.values()} == {(1 + 6 * RATE // 512,)}


def test_a_note_without_an_attack_has_no_onsets_and_less_flux_than_clicks(sound):
    time = np.arange(6 * RATE) / RATE
    note = (0.3 * np.sin(2 * np.pi * 330 * time) * np.hanning(len(time))).astype(np.float32)
    (curves, _), (soft, slow) = (feature_sets.rhythm(signal, RATE) for signal in (sound, note))
    assert all(curves[name].std() > soft[name].std() for name in ("percussive_onset_strength", "spectral_flux"))
    assert slow["percussive_onset_rate"] == 0 and slow["onset_rate"] == 0


def test_each_number_has_its_name(sound):
    named = dict(zip(feature_sets.more_names(), feature_sets.more_features(sound, RATE), strict=True))
    curves, rates = feature_sets.rhythm(sound, RATE)
    third = np.sort(frame_features(sound, RATE)["mfcc"][2])
    assert named["tempo", "value", "01"] == rates["tempo"]
    assert named["spectral_flux", "max", "01"] == pytest.approx(curves["spectral_flux"].max())
    assert third[len(third) // 4 - 1] < named["mfcc", "percentile_25", "03"] < third[len(third) // 4 + 1]


def test_silence_gives_finite_numbers():
    assert np.isfinite(feature_sets.more_features(np.zeros(2 * RATE, np.float32), RATE)).all()


def test_every_number_is_in_exactly_one_set():
    names = [*feature_names(), *feature_sets.more_names()]
    columns = [feature_sets.columns_of([name], names) for name in feature_sets.SETS]
    assert sorted(np.concatenate(columns)) == list(range(518 + 320))
    assert len(feature_sets.columns_of(feature_sets.OF_518, names)) == 518
    assert not feature_sets.needs_more(feature_sets.OF_518) and feature_sets.needs_more(["mfcc", "rhythm"])


def test_sets_are_chosen_by_name():
    assert feature_sets.choose("all") == list(feature_sets.SETS)
    assert feature_sets.choose(["zcr", "mfcc"]) == ["mfcc", "zcr"]
    with pytest.raises(KitError, match="sets has no mfccs. Choose all, or some of chroma, tonnetz"):
        feature_sets.choose("mfccs, zcr")
    with pytest.raises(KitError, match="sets has no rythm"):
        recordings.resolve_parameters(True, sets="rythm")
    assert recordings.resolve_parameters(False).sets == list(feature_sets.OF_518)


def test_the_table_shows_which_set_is_worth_something(tmp_path):
    """The genre changes tonnetz alone, among noise."""
    labels, artists = np.arange(120) % 2, np.arange(120) // 4
    numbers = np.random.default_rng(0).normal(size=(120, 518)).astype(np.float32)
    numbers[:, feature_sets.columns_of(["tonnetz"], feature_names())] += 1.5 * labels[:, None]
    data = splits.make_training_data(numbers[:, None], labels, artists, classes=2, count=4)
    comparison = Comparison(tmp_path, data, recordings.genre_recipe(folds=4))
    table = feature_sets.compare(comparison, numbers, ["tonnetz", "mfcc"]).set_index("sets")
    assert table.index.tolist() == ["all", "tonnetz alone", "mfcc alone", "without tonnetz", "without mfcc"]
    assert table["numbers"].tolist() == [42 + 140, 42, 140, 140, 42]
    assert table.loc["tonnetz alone", "accuracy"] > 0.9 > 0.7 > table.loc["mfcc alone", "accuracy"]
    worse = table.loc["without tonnetz"]
    assert worse["difference"] == pytest.approx(worse["accuracy"] - table.loc["all", "accuracy"])
    assert worse["difference_low"] < worse["difference"] < worse["difference_high"] < 0
    assert table.loc["all", "difference"] == 0
    assert len(feature_sets.compare(comparison, numbers, ["mfcc"])) == 1
