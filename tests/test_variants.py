"""Faster and slower clips and duets: drawn without leaks, computed once, and used in training and prediction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import with_songs

from snippetkit.data.labels import CLASSES
from snippetkit.features.extraction import Features
from snippetkit.features.pretrained import extraction
from snippetkit.features.pretrained.variants import DUET_CLASS, Duets, change_speed
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training import classifier
from snippetkit.training.ensemble import train_kinds
from snippetkit.training.members import finished_recipe
from snippetkit.training.sequence import SequenceNetwork
from snippetkit.utils.hardware import Device
from snippetkit.vocals.clips import check_clips

CPU = Device("cpu", "CPU", "fp32")
VIEW = "stub_mixture"
RECIPE = Recipe.published().with_values(
    split="songs", folds=3, separator="none", members=0, classifiers=VIEW, precision="fp32", semitones=2, duets=9,
)


@pytest.fixture
def sources(small_competition, tmp_path):
    return check_clips(small_competition, tmp_path / "vocals", RECIPE, jobs=1)


def test_speed_changes_pitch_and_length_stays():
    tone = np.sin(2 * np.pi * 500 * np.arange(32_000) / 16_000)[np.newaxis].astype(np.float32)
    for semitones, pitch in ((12, 1000), (-12, 250), (0, 500)):
        changed = change_speed(tone, semitones)
        assert changed.shape == tone.shape and changed.dtype == np.float32
        assert np.abs(np.fft.rfft(changed[0, :16_000])).argmax() == pitch


def test_duets_are_of_one_fold_and_of_two_songs(small_data):
    duets = Duets.draw(None, small_data.labels, small_data.songs, RECIPE.with_values(duets=40), CLASSES)
    assert len(duets.rows) == 40 and np.abs(duets.levels).max() <= 4
    assert set(small_data.labels[duets.rows].ravel()) == {1, 2}
    (first, second), fold = small_data.songs.group[duets.rows].T, small_data.songs.fold[duets.rows]
    assert (first != second).all() and (fold[:, 0] == fold[:, 1]).all() and len(set(fold[:, 0])) == 3
    again = Duets.draw(None, small_data.labels, small_data.songs, RECIPE.with_values(duets=40), CLASSES)
    assert np.array_equal(again.rows, duets.rows) and np.array_equal(again.levels, duets.levels)


def test_without_pairs_or_with_other_classes_there_are_no_duets_and_a_sentence(small_data, capsys):
    songs, labels = small_data.songs, small_data.labels
    assert not len(Duets.draw(None, labels, songs, RECIPE, ("cat", "dog")).rows)
    assert not len(Duets.draw(None, np.zeros_like(labels), songs, RECIPE, CLASSES).rows)
    assert capsys.readouterr().err.count("0 of 9 duets could be drawn: they need the kit's own classes") == 2
    assert not len(Duets.draw(None, labels, songs, RECIPE.with_values(duets=0), CLASSES).rows)
    assert not capsys.readouterr().err
    one_song_a_fold = with_songs(small_data, songs.fold, songs.fold).songs
    assert not len(Duets.draw(None, labels, one_song_a_fold, RECIPE, CLASSES).rows)
    assert "0 of 9 duets" in capsys.readouterr().err


def test_a_duet_is_the_sum_of_two_clips(sources):
    train = sources[0]
    duets = Duets(train, np.array([[3, 5]]), np.array([-2.0]))
    first, second = (train.load(clip, "mixture", RECIPE, 16_000) for clip in (3, 5))
    second *= 10 ** (-2 / 20) * np.sqrt(np.square(first).mean() / np.square(second).mean())
    expected = (first + second) / max(1, np.abs(first + second).max())
    np.testing.assert_allclose(duets.load(0, "vocals", RECIPE, 16_000), expected, atol=1e-4)


def test_all_speeds_of_clips_and_duets_are_computed_once(stub, sources, tmp_path):
    duets = Duets(sources[0], np.array([[0, 1], [2, 3]]), np.zeros(2))
    assert not extraction.are_complete(sources, tmp_path, [VIEW], RECIPE, duets=2)
    views = extraction.extract_views(sources, tmp_path, [VIEW], RECIPE, duets=duets, jobs=1)[VIEW]
    assert views.keys() == {
        split + speed for split in ("train", "test", "duets") for speed in ("", "_faster", "_slower")
    }
    assert views["duets_slower"].array.shape == (2, 3) and views["test_faster"].array.shape == (8, 3)
    assert extraction.are_complete(sources, tmp_path, [VIEW], RECIPE, duets=2)
    calls = len(stub.calls)
    extraction.extract_views(sources, tmp_path, [VIEW], RECIPE, duets=duets, jobs=1)
    assert len(stub.calls) == calls
    plain = extraction.extract_views(sources, tmp_path, [VIEW], RECIPE.with_values(semitones=0.0, duets=0), jobs=1)
    assert plain[VIEW].keys() == {"train", "test"} and len(stub.calls) == calls


@pytest.fixture
def data(small_data):
    """The small data with a view in which the true class is only seen at two of three speeds."""
    generator, views = np.random.default_rng(1), {}
    duets = Duets.draw(None, small_data.labels, small_data.songs, RECIPE, CLASSES).rows
    sizes = {"train": small_data.labels, "test": small_data.labels[:20], "duets": np.full(len(duets), DUET_CLASS)}
    for split, labels in sizes.items():
        for speed, is_clear in (("", False), ("_faster", True), ("_slower", True)):
            array = generator.normal(size=(len(labels), 12)).astype(np.float32)
            array[np.arange(len(labels)), labels] += 3 * is_clear
            views[split + speed] = Features(array, np.arange(len(labels)), f"{split}{speed}")
    return replace(small_data, views={VIEW: views}, duets=duets)


def test_a_classifier_is_trained_on_all_speeds_and_on_duets_of_its_own_clips(data):
    recipe = RECIPE.kinds()[VIEW]
    train, valid = folds.split(data, recipe, 1)
    inside = np.isin(data.duets, train).all(axis=1)
    assert 0 < inside.sum() < len(data.duets)
    machine = classifier.fit(data, recipe, 1)
    assert len(machine.clips) == len(machine.coefficients) == 3 * (len(train) + inside.sum())
    _, clips, _ = data.datasets(recipe, 1, CPU)
    assert clips.features.shape == (len(valid), 3, 1, 12)
    logits = machine(clips.features)
    apart = torch.stack([machine(clips.features[:, [speed]]) for speed in range(3)]).mean(dim=0)
    torch.testing.assert_close(logits, apart)

    def accuracy(logits):
        return (logits.argmax(dim=1) == clips.labels).double().mean()

    assert accuracy(logits) > accuracy(machine(clips.features[:, [0]])) + 0.2


def test_a_network_over_time_averages_the_speeds_and_trains_on_any(data):
    network = SequenceNetwork([12], classes=4, dropout=0.0)
    features = torch.randn(5, 3, 48, 12)
    logits = network.eval()(features)
    apart = torch.stack([network(features[:, [speed]]) for speed in range(3)])
    torch.testing.assert_close(logits, apart.mean(dim=0))
    network.norm.eval(), network.train(), torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.eval()
    chosen = {int((network(features[:1]) - apart[:, :1]).abs().sum(dim=(1, 2)).argmin()) for _ in range(30)}
    assert chosen == {0, 1, 2}


def test_the_recipe_of_finished_members_has_speeds_and_duets(data, tmp_path):
    recipe = RECIPE.with_values(members=1, model="cnn3", epochs=1, batch_size=8)
    train_kinds(tmp_path, recipe, data, devices=[CPU])
    found = finished_recipe(tmp_path)
    assert (found.members, found.classifiers, found.semitones, found.duets) == (1, VIEW, 2, 9)
