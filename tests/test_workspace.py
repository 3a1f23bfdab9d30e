import shutil

import pytest

from snippetkit.recipe import Recipe
from snippetkit.run import workspace
from snippetkit.run.workspace import Workspace, open_workspace
from snippetkit.utils import paths
from snippetkit.utils.errors import KitError


def test_a_folder_of_ones_own(small_demo, tmp_path):
    work = open_workspace(small_demo, tmp_path / "out", kaggle=tmp_path / "no kaggle")
    assert (work.data, work.folder, work.is_demo) == (small_demo, tmp_path / "out", False)
    assert work.folder.is_dir() and work.submission.parent == work.folder


def test_results_go_to_runs_unless_told_otherwise(small_demo, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_folder", lambda: None)  # as where the kit came as a wheel
    monkeypatch.chdir(tmp_path)
    work = open_workspace(small_demo, kaggle=tmp_path / "no kaggle")
    assert work.folder == tmp_path / "runs" / small_demo.name


def test_kaggles_folders_are_found(small_demo, tmp_path):
    kaggle = tmp_path / "kaggle"
    shutil.copytree(small_demo, kaggle / "input" / "competitions" / "singers")
    work = open_workspace(kaggle=kaggle)
    assert (work.data, work.folder, work.is_demo) == (kaggle / "input", kaggle / "working", False)


def test_without_data_the_demo_is_made(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(workspace.demo, "make", lambda folder: made.append(folder) or folder)
    work = open_workspace(out=tmp_path / "out", kaggle=tmp_path / "no kaggle")
    assert work.is_demo and made == [tmp_path / "out" / "competition"] and work.data == made[0]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(KitError, match="there is no data folder .*nowhere"):
        open_workspace(tmp_path / "nowhere", tmp_path / "out")


def test_a_work_folder_that_cannot_be(small_demo, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="the work folder .*file/out cannot be created"):
        open_workspace(small_demo, tmp_path / "file" / "out")


def test_zero_leaves_the_recipes_own_numbers(tmp_path):
    real, demo = Workspace(tmp_path, tmp_path), Workspace(tmp_path, tmp_path, is_demo=True)
    assert (real.recipe().members, real.recipe().epochs) == (20, 10)
    assert (real.recipe().separator, demo.recipe().separator) == ("torch", "none")
    assert demo.recipe(settings="separator=torch").separator == "torch"
    assert demo.recipe().members == 2 and demo.recipe("best").mixup == Recipe.best().mixup > 0
    assert demo.recipe(members=5, epochs=3, settings="lr=0.001 model=cnn3").part("member").items() >= {
        "epochs": 3, "lr": 0.001, "model": "cnn3",
    }.items()
    with pytest.raises(KitError, match="members=-1 is out of range"):
        real.recipe(members=-1)
    with pytest.raises(KitError, match="there is no recipe 'bets'"):
        real.recipe("bets")
