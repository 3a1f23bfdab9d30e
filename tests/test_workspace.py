"""Where a run finds its data and puts its results, and the recipe that its parameters make."""

import shutil

import pytest

from snippetkit.recipe import Recipe
from snippetkit.run import workspace
from snippetkit.run.workspace import Workspace, open_workspace
from snippetkit.utils import paths
from snippetkit.utils.errors import KitError


def test_given_folders_are_used(small_demo, tmp_path):
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


def test_work_folder_that_cannot_be_created_is_refused(small_demo, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="the work folder .*file/out cannot be created: Not a directory"):
        open_workspace(small_demo, tmp_path / "file" / "out")


def test_parameters_change_the_recipe_and_zero_changes_nothing(tmp_path):
    real, demo = Workspace(tmp_path, tmp_path), Workspace(tmp_path, tmp_path, is_demo=True)
    assert real.recipe("published") == Recipe.published() and real.recipe() == Recipe.best()
    assert (real.recipe().separator, demo.recipe().separator) == ("torch", "none")
    assert demo.recipe(settings="separator=torch").separator == "torch"
    assert demo.recipe().members == 2 and not demo.recipe().classifiers and demo.recipe().mixup == Recipe.best().mixup
    recipe = demo.recipe(members=5, epochs=3, settings="lr=0.001 model=cnn3")
    assert (recipe.members, recipe.epochs, recipe.lr, recipe.model) == (5, 3, 0.001, "cnn3")
    with pytest.raises(KitError, match="members=-1 is out of range"):
        real.recipe(members=-1)
