"""The recipe: the published values, the checks of each field, the parts and their hashes."""

import dataclasses

import pytest
import torch
from conftest import run_kit

from snippetkit import filterbank, models
from snippetkit.models import MODELS
from snippetkit.recipe import Recipe, smallest_input
from snippetkit.utils.errors import KitError


def test_published_recipe_has_the_published_values():
    published = dataclasses.asdict(Recipe.published())
    expected = {
        "sample_rate": 16_000, "seconds": 3.0, "preemphasis": 0.97, "frame_length": 400, "hop": 160, "n_fft": 1024,
        "n_mels": 40, "f_min": 0.0, "f_max": 8000.0, "model": "resnet34", "dropout": 0.2, "lr": 3e-4,
        "weight_decay": 1e-5, "batch_size": 32, "schedule": "cosine_restarts", "valid_fraction": 0.3,
        "split_seed": 8, "members": 20, "separator": "torch",
    }
    assert published.items() >= expected.items()
    assert 10 <= published["epochs"] <= 20
    # everything else is off
    for name in (
        "standardise", "label_smoothing", "mixup", "crop", "time_mask", "band_mask", "ema_decay", "fast_separation",
        "second_n_fft", "floor", "class_weights", "oversample", "focal",
    ):
        assert not published[name]


def test_settings_have_the_type_of_their_field():
    recipe = Recipe.published().with_settings(["lr=1e-4", "epochs=3", "standardise=true", "model=cnn3"])
    assert (recipe.lr, recipe.epochs, recipe.standardise, recipe.model) == (1e-4, 3, True, "cnn3")


@pytest.mark.parametrize("setting, message", [
    ("epochs=2.5", "must be a whole number"),
    ("lr=fast", "must be a number"),
    ("standardise=maybe", "true or false"),
    ("epochs", "name=value"),
    ("learning_rate=1", "no 'learning_rate'.*It has members"),
    ("epoch=3", "did you mean epochs"),
    ("model=vgg", "resnet34"),
    ("epochs=0", "out of range"),
    ("lr=nan", "out of range"),
    ("f_max=9000", "half the sample rate"),
    ("frame_length=2048", "n_fft"),
    ("second_n_fft=300", "second_n_fft=300 is shorter than frame_length=400"),
    ("scale=log", "scale=log needs f_min above 0"),
    ("model=cnn3 pool=300", "model=cnn3 needs 8 frames and 8 bands or more. This recipe gives it 1 and 40: change"),
    ("model=cnn3 hop=24000", "gives it 3 and 40"), ("model=cnn3 seconds=0.05", "gives it 4 and 40"),
    ("model=cnn3 crop=7", "gives it 7 and 40"), ("model=cnn3 n_mels=7", "gives it 299 and 7"),
    ("model=densenet121 pool=11", "needs 29 frames and 29 bands or more. This recipe gives it 27 and 40"),
    ("window=kaiser", "window='kaiser' is unknown. Choose one of hamming, hann"),
])
def test_invalid_setting_is_named(setting, message):
    with pytest.raises(KitError, match=message):
        Recipe.published().with_settings(setting.split())


@pytest.mark.parametrize("values", [{"epochs": True}, {"epochs": 2.0}, {"lr": "0.1"}, {"standardise": 1}, {"model": 5}])
def test_value_of_the_wrong_type_is_refused(values):
    with pytest.raises(KitError, match=f"{next(iter(values))}=.* has the wrong type"):
        Recipe.published().with_values(**values)


def test_unknown_recipe_lists_the_known_ones():
    with pytest.raises(KitError, match="there is no recipe 'bets'. Choose one of published, best"):
        Recipe.named("bets")


@pytest.mark.parametrize("values, changed", [
    ({"members": 2}, []), ({"epochs": 3}, ["member"]), ({"n_mels": 64}, ["features", "member"]),
])
def test_hash_of_a_part_changes_with_that_part_only(values, changed):
    base, other = Recipe.published(), Recipe.published().with_values(**values)
    assert [part for part in ("features", "member") if base.hash(part) != other.hash(part)] == changed


def test_every_choice_belongs_to_a_part():
    kinds = Recipe.published().with_values(classifiers="musicnn_mixture").kinds().values()
    parts = {name for kind in kinds for name in kind.part("member")} | {"members", "classifiers", "sequence_members"}
    assert parts == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", [*MODELS, "lab.cnn4", "lab.crnn", "lab.transformer"])
def test_the_smallest_picture_of_a_model_is_the_smallest_that_it_can_take(name):
    network = models.build(name, classes=4, dropout=0.2)
    smallest = smallest_input(name)
    assert network(torch.zeros(2, 1, *smallest)).shape == (2, 4)
    for frames, bands in ((smallest[0] - 1, 64), (64, smallest[1] - 1)):
        with pytest.raises(RuntimeError):
            network(torch.zeros(2, 1, frames, bands))


@pytest.mark.parametrize("settings", [
    [], ["hop=24000"], ["pool=300"], ["pool=7"], ["seconds=0.05", "frame_length=1024"], ["hop=161", "seconds=2.9"],
])
def test_a_recipe_counts_the_frames_of_a_clip_as_the_filterbank_does(settings):
    recipe = Recipe.published().with_settings(settings)
    assert recipe.frames == filterbank.shape_of(recipe.samples, recipe)[0]
    assert recipe.with_values(crop=7).frames == recipe.frames


def test_every_model_that_a_recipe_names_can_be_built():
    (model,) = [field for field in dataclasses.fields(Recipe) if field.name == "model"]
    assert set(model.metadata["choices"]) == set(models.MODELS)


def test_every_choice_is_described_with_its_meaning_and_what_is_allowed():
    rows = {row["name"]: row for row in Recipe.published().with_values(mixup=0.3).describe()}
    assert rows.keys() == {field.name for field in dataclasses.fields(Recipe)}
    assert all(row["meaning"] for row in rows.values())
    assert rows["hop"] == {
        "name": "hop", "value": 160, "meaning": "samples, 10 ms as published", "allowed": "1 to 1048576",
    }
    assert rows["split"]["allowed"] == "random, songs" and rows["mixup"]["value"] == 0.3
    result = run_kit("choices", "--recipe", "published", "--set", "lr=0.01", check=True)
    assert "lr                0.01              learning rate, the highest of the schedule (0 to 10)" in result.stdout
