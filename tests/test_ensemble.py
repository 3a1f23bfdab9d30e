"""Ensembles: which members are trained, on which devices, and which may be averaged."""

import shutil

import numpy as np
import pytest

from snippetkit.prediction.scores import collect
from snippetkit.recipe import Recipe
from snippetkit.training import ensemble
from snippetkit.training.members import finished_members, member_folder, read_histories, shared_recipe
from snippetkit.utils.artifacts import read_record, write_record
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import write_json


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_data, cpu):
    """An ensemble of `small_recipe`, read-only."""
    recipe = Recipe.published().with_values(model="cnn3", epochs=3, batch_size=8, members=2, precision="fp32")
    folder = tmp_path_factory.mktemp("trained")
    assert ensemble.train_ensemble(folder, recipe, small_data, devices=[cpu]) == [0, 1]
    return folder


@pytest.fixture
def members(trained, tmp_path):
    """The same, for tests that change it."""
    return shutil.copytree(trained, tmp_path / "members")


@pytest.mark.parametrize("content", ["", "\n", "epoch,lr\n1,2\n", '"epoch', "\0"])
def test_a_damaged_history_is_named(tmp_path, content):
    path = member_folder(tmp_path, 3) / "history.csv"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(KitError, match=f"{path} is damaged .* Delete it"):
        read_histories(tmp_path)


@pytest.mark.parametrize("made_by", [None, {}, {"recipe": []}, {"recipe": [], "training_data": "x"}, ["a list"]])
def test_a_damaged_record_of_a_member_is_named(tmp_path, made_by):
    path = member_folder(tmp_path, 0) / "recipe.json"
    if made_by is not None:
        write_json(path, {"format": 2, "made_by": made_by})
    with pytest.raises(KitError, match=f"{path} is (missing or )?damaged"):
        shared_recipe(tmp_path, [0])
    write_json(path, {"format": 2, "made_by": {"recipe": {"epoch": 3}, "training_data": "x"}})
    with pytest.raises(KitError, match="did you mean epochs"):
        shared_recipe(tmp_path, [0])


def test_only_missing_members_are_trained(members, small_recipe, small_data, cpu):
    before = {path: path.stat().st_mtime_ns for path in members.rglob("weights.safetensors")}
    more = small_recipe.with_values(members=3)
    assert len(before) == 2 and ensemble.train_ensemble(members, more, small_data, devices=[cpu]) == [0, 1, 2]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_two_devices_train_a_member_each_and_give_the_same(
    trained, tmp_path, small_recipe, small_data, cpu, capsys, monkeypatch
):
    monkeypatch.setattr("pandas.read_csv", None)    # counting epochs for the progress bar parses no table
    # each process has half of the cores, so sums may be rounded differently
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu, cpu]) == [0, 1]
    assert "2 of 2 members to train, 2 at a time, on CPU in fp32; CPU in fp32" in capsys.readouterr().err
    for i in (0, 1):
        one, two = (np.load(member_folder(folder, i) / "test_logits.npy") for folder in (trained, tmp_path))
        np.testing.assert_allclose(one, two, atol=1e-4)
        assert (member_folder(tmp_path, i) / "worker.log").exists()


def test_all_members_are_checked_before_any_is_trained(members, small_recipe, small_data, cpu):
    shutil.rmtree(members / "member_00")
    with pytest.raises(KitError, match="member_01 was created differently .epochs: 3, now 4"):
        ensemble.train_ensemble(members, small_recipe.with_values(epochs=4), small_data, devices=[cpu])
    assert not (members / "member_00").exists()


def test_folders_with_other_names_are_no_members_and_one_line_says_so(members, small_recipe, small_data, cpu, capsys):
    strangers = ["member_ 1", "member_-1", "member_00 (copy)", "member_00_old", "member_002", "member_0_1", "member_1",
                 "member_\u0661\u0662", "member_old"]
    for name in strangers:
        shutil.copytree(members / "member_00", members / name)
    (members / "member_07").write_text("a file")
    assert finished_members(members) == list(read_histories(members)) == [0, 1]
    line = f"{members}: member_ 1, member_-1, member_00 (copy), member_002, member_00_old and 5 more "
    for use, options in ((ensemble.train_ensemble, {"recipe": small_recipe, "devices": [cpu]}), (collect, {})):
        use(members, data=small_data, **options)
        assert capsys.readouterr().err.count(f"{line}are not names of members") == 1


def test_session_without_time_leaves_the_members_to_the_next_one(tmp_path, small_recipe, small_data, cpu):
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu], clock=Clock(1e-9)) == []
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu]) == [0, 1]


def test_members_of_different_recipes_are_not_averaged(members, small_recipe, small_data):
    recipe, training_data = shared_recipe(members, [0, 1])
    assert recipe.part("member") == small_recipe.part("member")
    assert training_data == small_data.fingerprint(small_recipe)
    path = members / "member_01" / "recipe.json"
    made_by = read_record(path)["made_by"]
    write_record(path, {**made_by, "recipe": {**made_by["recipe"], "epochs": 7}})
    with pytest.raises(KitError, match="member_01 .* has another recipe or other training data than member_00"):
        shared_recipe(members, [0, 1])
