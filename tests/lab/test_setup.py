"""Notebook 07 checks its parameters before anything is made, and opens a finished run without changing it."""

import pytest

from snippetkit.lab.singers import setup
from snippetkit.lab.singers.setup import open_study
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.errors import KitError


@pytest.fixture(autouse=True)
def no_packages_needed(monkeypatch):
    monkeypatch.setattr(setup, "_PACKAGES", ())


@pytest.mark.parametrize("parameters, message", [
    ({"networks": "resnet18 lab.crn"}, "model='lab.crn' is unknown. Choose one of .*lab.crnn"),
    ({"networks": "lab.wave"}, "lab.wave takes samples and is trained on them in any case"),
    ({"kinds": "MFCC, mfcc"}, "there is no input 'mfcc'. Choose from constant-Q"),
    ({"on_bad": "skp"}, "on_bad='skp' is unknown"), ({"epochs": "x"}, "epochs='x' is not a whole number"),
    ({"networks": ["lab.crn"], "kinds": None}, "model='lab.crn' is unknown"),
    ({"versions": -1}, "versions=-1 is not a number of changed versions. Choose 0 or more"),
    ({"recording": "nowhere.mp3"}, "there is no recording nowhere.mp3"),
    ({"valid_folds": 9}, "valid_folds=9 is not a number of folds. Choose 1 to 5"),
    ({"valid_folds": "all"}, "valid_folds='all' is not a number of folds"),
    ({"valid_folds": 0}, "valid_folds=0 is not a number of folds"),
    ({"valid_folds": 3}, "valid_folds=3, but no member has fold 2 as its validation set. Choose fewer folds, or train"),
    ({"run": "nowhere"}, "nowhere is not a work folder with finished members"),
])
def test_wrong_parameters_are_refused_before_anything_is_made(parameters, message, tmp_path):
    with pytest.raises(KitError, match=message):
        open_study(tmp_path, out=tmp_path / "out", **parameters)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(setup, "_PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(KitError, match="the study needs no_such_package: pip install -r requirements-lab.txt"):
        open_study(tmp_path)


@pytest.mark.parametrize("data, message", [
    ("", "the clips of .*run were not found"), ("/nope", "no data folder /nope"),
])
def test_the_clips_of_a_run_must_be_known(data, message, tmp_path):
    done = tmp_path / "run" / "members" / "member_00" / "done.json"
    done.parent.mkdir(parents=True)
    done.write_text("{}")
    with pytest.raises(KitError, match=message):
        open_study(data, tmp_path / "run", tmp_path / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [done]


def test_a_run_with_a_random_split_is_refused(small_recipe, small_data, cpu, tmp_path):
    recipe = small_recipe.with_values(members=1, epochs=1, split="random")
    train_ensemble(tmp_path / "run" / "members", recipe, small_data, devices=[cpu])
    with pytest.raises(KitError, match="were validated on a random split, with songs on both sides"):
        open_study(tmp_path, tmp_path / "run", tmp_path / "out")
