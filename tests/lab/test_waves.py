"""Samples as they are, and changed versions of clips."""

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import kept
from snippetkit.lab.singers import inputs, waves
from snippetkit.recipe import Recipe

RECIPE = Recipe.published()


def test_samples_are_one_band_of_one_loudness(small_competition):
    found = waves.of_clips(small_competition.train[:3])
    assert found.shape == (3, 24_000, 1) and found.dtype == np.float32
    np.testing.assert_allclose(np.mean(found**2, axis=1), 1, rtol=1e-3)


def test_versions_differ_from_the_clip_and_from_each_other_and_come_again(small_competition):
    pytest.importorskip("audiomentations", reason="what changes clips: pip install -r requirements-lab.txt")
    paths = small_competition.train[:4]
    found = waves.versions(paths, RECIPE, 2, seed=3)
    assert found.shape == (2, 4, 299, 40)
    assert not np.array_equal(found[0], found[1])
    assert found[:, :, -5:].mean(axis=(2, 3)).min() > -200      # none ends in digital silence
    np.testing.assert_array_equal(found, waves.versions(paths, RECIPE, 2, seed=3, jobs=1))


def test_a_network_is_shown_all_versions_and_judged_by_the_clips_as_they_are(small_data, cpu):
    marks = np.arange(1, 3)[:, None, None, None]
    versions = np.broadcast_to(1000.0 * marks, (2, *small_data.train.array.shape)).astype(np.float32)
    train, valid, _ = waves.Varied(data=small_data, versions=versions).datasets(RECIPE, 0, cpu)
    shown = np.concatenate([features[:, 0, 0, 0].numpy() for features, _ in train.batches(16)])
    for mark in (1000, 2000):
        assert 0.1 < np.mean(shown == mark) < 0.6
    assert np.mean(shown < 500) > 0.1 and (valid.features < 500).all()


@pytest.mark.parametrize("kind", inputs.KINDS)
def test_other_pictures_of_a_clip(kind, small_competition):
    columns = {"constant-Q": 84, "chroma": 12, "tonnetz": 6, "MFCC": 20, "harmonic and percussive": 128}
    found = inputs.of_clips(kind, small_competition.train[:2], seconds=3.0, jobs=1)
    assert found.shape == (2, 130, columns[kind]) and np.isfinite(found).all()


def test_an_array_is_made_once_for_the_same_things(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.arange(len(made))

    path = tmp_path / "folder" / "array.npy"
    assert kept.kept(path, ["a", 1], make).tolist() == [0]
    assert kept.kept(path, ["a", 1], make).tolist() == [0] and len(made) == 1
    assert kept.kept(path, ["a", 2], make).tolist() == [0, 1] and len(made) == 2
    path.unlink()
    assert kept.kept(path, ["a", 2], make).tolist() == [0, 1, 2]


def test_data_and_stand_in_have_the_same_songs():
    data = make_data(seed=0)
    varied = waves.Varied(data=data, versions=np.zeros((1, *data.train.array.shape), np.float32))
    assert varied.songs is data.songs and varied.classes == 4 and varied.fingerprint(RECIPE) != data.fingerprint(RECIPE)
