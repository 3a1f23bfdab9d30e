"""Training and validation sets: the published random split, and folds that never split a song."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data, with_songs
from sklearn.model_selection import train_test_split

from snippetkit.prediction.scores import collect
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training.ensemble import train_ensemble
from snippetkit.training.member import train_member
from snippetkit.utils.errors import KitError


@pytest.fixture
def by_songs(small_recipe):
    return small_recipe.with_values(split="songs", folds=3, members=3)


# --- the published split ---


@pytest.mark.parametrize("clips", [10, 100, 3824, 11_886])
def test_random_split_is_the_published_one(clips, small_recipe):
    rows = train_test_split(np.arange(clips), test_size=0.3, random_state=8)
    train, valid = folds.random_split(clips, small_recipe)
    assert train.tolist() == sorted(rows[0]) and valid.tolist() == sorted(rows[1])
    assert folds.random_split(clips, small_recipe.with_values(split_seed=9))[1].tolist() != valid.tolist()


def test_all_members_share_the_published_split(small_recipe, small_data):
    assert len({folds.split(small_data, small_recipe, i)[1].tobytes() for i in range(5)}) == 1


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


def test_members_take_turns_with_the_folds(by_songs, small_data):
    splits = [folds.split(small_data, by_songs, i) for i in range(4)]
    assert sorted(np.concatenate([valid for _, valid in splits[:3]])) == list(range(60))
    assert np.array_equal(splits[3][1], splits[0][1])
    for train, valid in splits:
        assert sorted([*train, *valid]) == list(range(60))
        assert not set(small_data.songs.group[train]) & set(small_data.songs.group[valid])


def test_too_few_songs_are_refused_unless_the_split_is_random(by_songs, small_data):
    few = with_songs(small_data, np.arange(60) % 2)
    assert set(few.songs.fold) == {-1}
    folds.split(few, by_songs.with_values(split="random"), 0)
    with pytest.raises(KitError, match="60 labelled clips of 2 groups of songs are too few for 3 folds"):
        folds.split(few, by_songs, 0)


@pytest.mark.parametrize(["changes", "options", "message"], [
    ({"songs": None}, {}, "which 02_features finds"),
    ({"labels": np.zeros(1, int)}, {"split": "random"}, "1 labelled clips are too few"),
    ({}, {"folds": 2}, "there are 3 folds, but the recipe says folds=2. Run 02_features"),
    ({}, {"crop": 41}, "crop=41 is longer than the clips, which have 40 frames"),
])
def test_data_that_do_not_fit_the_recipe_are_refused(by_songs, small_data, cpu, changes, options, message):
    with pytest.raises(KitError, match=message):
        replace(small_data, **changes).datasets(by_songs.with_values(**options), 0, cpu)


def test_bands_are_standardised_by_the_clips_of_the_training_set(by_songs, small_data, cpu):
    recipe = by_songs.with_values(standardise=True, crop=40)
    train, valid, test = small_data.datasets(recipe, 0, cpu)
    assert train.features.mean(dim=(0, 1, 2)).abs().max() < 1e-4
    assert (train.features.std(dim=(0, 1, 2)) - 1).abs().max() < 1e-3
    array, (_, rows) = small_data.train.array.copy(), folds.split(small_data, recipe, 0)
    array[rows] += 100
    louder = replace(small_data, train=replace(small_data.train, array=array)).datasets(recipe, 0, cpu)
    assert (louder[0].features == train.features).all() and (louder[2].features == test.features).all()
    assert (louder[1].features > valid.features + 10).all()


def test_rows_of_training_and_validation_set_are_copied_once(small_recipe, small_data, cpu):
    copied = []

    class Array(np.ndarray):
        def __getitem__(self, rows):
            copied.extend(rows if isinstance(rows, np.ndarray) else [])
            return np.asarray(self)[rows]

    data = replace(small_data, train=replace(small_data.train, array=small_data.train.array.view(Array)))
    data.datasets(small_recipe.with_values(standardise=True), 0, cpu)
    assert sorted(copied) == list(range(60))


def test_fold_that_leaks_is_refused_before_the_training(by_songs, small_data, cpu, tmp_path):
    fold = small_data.songs.fold.copy()
    fold[7] = (fold[7] + 1) % 3     # clip 7 leaves the rest of its song, number 1
    leaky = with_songs(small_data, small_data.songs.group, fold)
    with pytest.raises(KitError, match="the folds leak: group 1 is in more than one fold"):
        train_member(tmp_path / "member_00", 0, by_songs, leaky, device=cpu)
    assert not (tmp_path / "member_00").exists()


# --- what it is worth ---


@pytest.fixture
def accuracy(cpu, tmp_path):
    """A function that trains an ensemble and returns its accuracy on the validation sets."""
    def accuracy(recipe, data):
        folder = tmp_path / f"{recipe.split} {data.fingerprint(recipe)}"
        train_ensemble(folder, recipe, data, devices=[cpu])
        result = collect(folder, data)
        return np.mean(result.valid_scores.argmax(axis=1) == result.valid_labels)

    return accuracy


@pytest.mark.slow
def test_random_split_is_optimistic_if_songs_have_labels_and_folds_of_songs_are_not(by_songs, accuracy):
    """Every song has a sound and a label of its own, which have nothing to do with one another."""
    generator = np.random.default_rng(0)
    data = make_data(seed=0, clips=160)
    group = np.arange(160) // 8
    labels = generator.integers(0, 4, 20)[group]
    sound = generator.normal(size=(20, 1, 40)).astype(np.float32)[group] * 2
    train = replace(data.train, array=sound + generator.normal(size=(160, 40, 40)).astype(np.float32))
    data, recipe = with_songs(replace(data, train=train, labels=labels), group), by_songs.with_values(epochs=8)
    assert accuracy(recipe.with_values(split="random"), data) > 0.8
    assert accuracy(recipe, data) < 0.5


def test_shuffled_labels_give_chance(by_songs, small_data, accuracy):
    recipe = by_songs.with_values(epochs=6)
    shuffled = replace(small_data, labels=np.random.default_rng(1).permutation(small_data.labels))
    assert accuracy(recipe, small_data) > 0.8
    assert accuracy(recipe, shuffled) < 0.25 + 4 * np.sqrt(0.25 * 0.75 / 60)     # chance, and four deviations of it


def test_kits_own_recipe_keeps_songs_apart():
    best = Recipe.best()
    assert best.split == "songs" and best.members == best.folds == 5
