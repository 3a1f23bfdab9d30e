"""Samples as inputs, changed versions of clips, and the other representations of a clip."""

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import handcrafted
from snippetkit.lab.singers import inputs, waves
from snippetkit.recipe import Recipe

RECIPE = Recipe.published()


def test_samples_are_one_band_of_one_loudness(small_competition):
    samples = waves.load_samples(small_competition.train[:3], jobs=1)
    assert samples.shape == (3, 24_000, 1) and samples.dtype == np.float32
    np.testing.assert_allclose(np.mean(samples**2, axis=1), 1, rtol=1e-3)


def test_versions_differ_and_can_be_made_again(small_competition):
    pytest.importorskip("audiomentations", reason="changed clips: pip install -r requirements-lab.txt")
    paths = small_competition.train[:4]
    np.random.seed(5)
    versions = waves.make_versions(paths, RECIPE, 2, seed=3, jobs=1)
    drawn = np.random.random()
    assert versions.shape == (2, 4, 299, 40)
    assert not np.array_equal(versions[0], versions[1])
    assert versions[:, :, -5:].mean(axis=(2, 3)).min() > -200      # none ends in digital silence
    np.testing.assert_array_equal(versions[:, :2], waves.make_versions(paths[:2], RECIPE, 2, seed=3))
    np.random.seed(5)
    assert np.random.random() == drawn      # the global generator is left as it was


@pytest.fixture(scope="module")
def versioned(small_data):
    marks = np.arange(1, 3)[:, None, None, None]
    versions = np.broadcast_to(1000.0 * marks, (2, *small_data.train.array.shape)).astype(np.float32)
    return waves.VersionedData(**vars(small_data), versions=versions)


def test_a_network_trains_on_all_versions_and_is_validated_on_the_original_clips(versioned, cpu):
    train, valid, test = versioned.datasets(RECIPE, 0, cpu)
    marks = np.concatenate([features[:, 0, 0, 0].numpy() for features, _ in train.batches(16)])
    for mark in (1000, 2000):
        assert 0.1 < np.mean(marks == mark) < 0.6
    assert np.mean(marks < 500) > 0.1 and (valid.features < 500).all() and (test.features < 500).all()
    original = super(waves.VersionedData, versioned).datasets(RECIPE, 0, cpu)[0]
    labels = np.concatenate([labels.numpy() for _, labels in train.batches(16)])
    assert labels.tolist() == original.labels.tolist() and len(train) == len(original)


def test_versions_change_the_fingerprint(small_data, versioned):
    assert versioned.songs is small_data.songs and versioned.classes == 4
    other = waves.VersionedData(**{**vars(versioned), "versions": versioned.versions + 1})
    assert len({data.fingerprint(RECIPE) for data in (small_data, versioned, other)}) == 3
    assert versioned.fingerprint(RECIPE) == waves.VersionedData(
        **vars(make_data(seed=0)), versions=versioned.versions).fingerprint(RECIPE)


@pytest.mark.parametrize("kind, compute", inputs.KINDS.items())
def test_other_representations_of_a_clip_are_finite(kind, compute, small_competition):
    frames = handcrafted.extract(small_competition.train[:2], compute, title=kind, seconds=3.0, jobs=1)
    assert frames.shape[:2] == (2, 130) and np.isfinite(frames).all() and frames.dtype == np.float32
