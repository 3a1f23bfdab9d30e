"""Clips held out: at random as published, or by songs; and what members say of clips they never heard."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data, with_songs
from sklearn.model_selection import train_test_split

from snippetkit.prediction.evaluation import interval
from snippetkit.prediction.scores import average, collect, held_out_logits
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training import ensemble
from snippetkit.training.member import train_member
from snippetkit.training.members import member_folder
from snippetkit.utils.errors import KitError


@pytest.fixture
def by_songs(small_recipe):
    return small_recipe.with_values(split="songs", folds=3, members=3)


@pytest.fixture
def data():
    """Sixty clips with something to learn, of twelve songs, in three folds."""
    return make_data(seed=0)


# --- the published split ---


@pytest.mark.parametrize("clips", [10, 100, 3824, 11_886])
def test_the_random_split_is_the_published_one(clips, small_recipe):
    rows = train_test_split(np.arange(clips), test_size=0.3, random_state=8)
    train, valid = folds.random_split(clips, small_recipe)
    assert train.tolist() == sorted(rows[0]) and valid.tolist() == sorted(rows[1])
    assert folds.random_split(clips, small_recipe.with_values(split_seed=9))[1].tolist() != valid.tolist()


def test_all_members_share_the_published_split(small_recipe, data):
    assert all(np.array_equal(folds.split(data, small_recipe, i)[1], folds.split(data, small_recipe, 0)[1])
               for i in range(5))


def test_too_few_clips_are_a_sentence(small_recipe):
    with pytest.raises(KitError, match="1 labelled clips are too few"):
        folds.random_split(1, small_recipe)


# --- folds of songs ---


@pytest.mark.parametrize("seed", range(5))
def test_folds_never_share_a_song(seed):
    generator = np.random.default_rng(seed)
    group, labels = generator.integers(0, 40, 300), generator.integers(0, 4, 300)
    fold = folds.assign(labels, group, folds=5, seed=8)
    assert set(fold) == set(range(5))
    assert all(len(set(fold[group == number])) == 1 for number in set(group))
    assert np.array_equal(fold, folds.assign(labels, group, folds=5, seed=8))
    assert not np.array_equal(fold, folds.assign(labels, group, folds=5, seed=9))
    folds.require_whole_groups(fold, group)


def test_members_go_round_the_folds(by_songs, data):
    held_out = [folds.split(data, by_songs, i)[1] for i in range(4)]
    assert sorted(np.concatenate(held_out[:3])) == list(range(60)) and np.array_equal(held_out[3], held_out[0])
    for i in range(3):
        train, valid = folds.split(data, by_songs, i)
        assert sorted([*train, *valid]) == list(range(60))
        assert not set(data.songs.group[train]) & set(data.songs.group[valid])


def test_too_few_songs_are_a_sentence_only_where_songs_are_kept_apart(by_songs, data):
    labels, group = np.arange(60) % 4, np.arange(60) % 2
    fold = folds.assign(labels, group, folds=3, seed=0)
    assert set(fold) == {-1}
    few = with_songs(data, group, fold)
    folds.split(few, by_songs.with_values(split="random"), 0)
    with pytest.raises(KitError, match="60 labelled clips of 2 groups of songs are too few for 3 folds"):
        folds.split(few, by_songs, 0)


def test_folds_of_another_number_are_a_sentence(by_songs, data):
    with pytest.raises(KitError, match="there are 3 folds, but the recipe says folds=2. Run 02_features"):
        folds.split(data, by_songs.with_values(folds=2), 0)


def test_bands_are_standardised_by_the_clips_that_are_trained_on(by_songs, data, cpu):
    recipe = by_songs.with_values(standardise=True)
    train, valid, test = data.datasets(recipe, 0, cpu)
    assert train.features.mean(dim=(0, 1, 2)).abs().max() < 1e-4
    assert (train.features.std(dim=(0, 1, 2)) - 1).abs().max() < 1e-3
    array, (_, rows) = data.train.array.copy(), folds.split(data, recipe, 0)
    array[rows] += 100
    louder = replace(data, train=replace(data.train, array=array)).datasets(recipe, 0, cpu)
    assert (louder[0].features == train.features).all() and (louder[2].features == test.features).all()
    assert (louder[1].features > valid.features + 10).all()


def test_a_crop_longer_than_the_clips_is_a_sentence(by_songs, data, cpu):
    data.datasets(by_songs.with_values(crop=40), 0, cpu)
    with pytest.raises(KitError, match="crop=41 is longer than the clips, which have 40 frames"):
        data.datasets(by_songs.with_values(crop=41), 0, cpu)


def test_data_without_songs_are_a_sentence(by_songs, data):
    with pytest.raises(KitError, match="which 02_features finds"):
        folds.split(replace(data, songs=None), by_songs, 0)


def test_a_leaky_fold_is_caught_before_anything_is_trained(by_songs, data, cpu, tmp_path):
    fold = data.songs.fold.copy()
    fold[7] = (fold[7] + 1) % 3     # clip 7 leaves the rest of its song, number 1
    leaky = with_songs(data, data.songs.group, fold)
    with pytest.raises(KitError, match="the folds leak: group 1 is in more than one fold"):
        train_member(tmp_path / "member_00", 0, by_songs, leaky, device=cpu)
    assert not (tmp_path / "member_00").exists()


# --- what it is worth ---


@pytest.mark.slow
def test_a_random_split_flatters_where_songs_have_labels_and_folds_of_songs_do_not(by_songs, cpu, tmp_path):
    """Every song has a sound and a label of its own, which have nothing to do with one another."""
    generator = np.random.default_rng(0)
    data = make_data(seed=0, clips=160)
    group = np.arange(160) // 8
    labels = generator.integers(0, 4, 20)[group]
    sound = generator.normal(size=(20, 1, 40)).astype(np.float32)[group] * 2
    train = replace(data.train, array=sound + generator.normal(size=(160, 40, 40)).astype(np.float32))
    data = with_songs(replace(data, train=train, labels=labels), group)
    accuracy = {}
    for split in ("random", "songs"):
        recipe = by_songs.with_values(split=split, epochs=8)
        ensemble.train_ensemble(tmp_path / split, recipe, data, devices=[cpu])
        result = collect(tmp_path / split, data)
        accuracy[split] = np.mean(average(result.valid_logits).argmax(axis=1) == result.valid_labels)
    assert accuracy["random"] > 0.8 and accuracy["songs"] < 0.5


def test_shuffled_labels_give_chance(by_songs, data, cpu, tmp_path):
    shuffled = replace(data, labels=np.random.default_rng(1).permutation(data.labels))
    accuracy = {}
    for name, its in {"true": data, "shuffled": shuffled}.items():
        ensemble.train_ensemble(tmp_path / name, by_songs.with_values(epochs=6), its, devices=[cpu])
        result = collect(tmp_path / name, its)
        accuracy[name] = np.mean(average(result.valid_logits).argmax(axis=1) == result.valid_labels)
    assert accuracy["true"] > 0.8
    assert accuracy["shuffled"] < 0.25 + 4 * np.sqrt(0.25 * 0.75 / 60)     # chance, and four deviations of it


def test_out_of_fold_logits_come_from_members_that_never_heard_the_clip(by_songs, data, cpu, tmp_path):
    recipe = by_songs.with_values(members=4)
    ensemble.train_ensemble(tmp_path, recipe, data, devices=[cpu])
    result = collect(tmp_path, data)
    assert result.valid_logits.shape == (1, 60, 4) and np.array_equal(result.valid_clips, np.arange(60))
    for i in range(3):
        rows = folds.split(data, recipe, i)[1]
        assert np.array_equal(result.valid_logits[0, rows], np.load(member_folder(tmp_path, i) / "valid_logits.npy"))
    assert result.test_logits.shape == (4, 20, 4)


def test_answers_of_members_lie_behind_one_another(tmp_path):
    rows = [np.array([0, 2]), np.array([1, 4]), np.array([0, 2]), np.array([1, 4]), np.array([3, 5])]
    for i in range(len(rows)):
        member_folder(tmp_path, i).mkdir()
        logits = np.zeros((2, 4), np.float32) + i
        np.save(member_folder(tmp_path, i) / "valid_logits.npy", logits)
    two, clips = held_out_logits(tmp_path, range(4), rows[:4])
    assert clips.tolist() == [0, 1, 2, 4] and two[:, :, 0].tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]]
    one, clips = held_out_logits(tmp_path, range(5), rows)
    assert clips.tolist() == [0, 1, 2, 3, 4, 5] and one[:, :, 0].tolist() == [[0, 1, 0, 4, 1, 4]]
    with pytest.raises(KitError, match=r"member_00.valid_logits.npy has shape \(2, 4\), but there are 3 clips"):
        held_out_logits(tmp_path, [0], [np.array([0, 1, 2])])


def test_songs_that_stand_or_fall_together_widen_the_interval():
    is_right = np.tile(np.repeat([True, False, True, True], 5), 5)
    alone = interval(is_right, np.arange(100))
    together = interval(is_right, np.arange(100) // 5)
    assert alone["low"] < 0.75 < alone["high"] and (alone["groups"], together["groups"]) == (100, 20)
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 100), rel=0.1)
    assert together["high"] - together["low"] > 1.8 * (alone["high"] - alone["low"])


def test_the_kits_own_recipe_keeps_songs_apart():
    best = Recipe.best()
    assert best.split == "songs" and best.members == 4 * best.folds == 20
    assert Recipe.published().split == "random"
