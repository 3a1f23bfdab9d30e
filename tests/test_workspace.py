"""Where a run finds its data and puts its results, and the recipe that its parameters make."""

import shutil

import pytest

from snippetkit.recipe import Recipe
from snippetkit.run import workspace
from snippetkit.run.parameters import read_parameters
from snippetkit.run.workspace import Workspace, open_workspace, recall, remember
from snippetkit.utils import paths
from snippetkit.utils.errors import KitError


def test_given_folders_are_used(small_demo, tmp_path):
    work = open_workspace(small_demo, tmp_path / "out", kaggle=tmp_path / "no kaggle")
    assert (work.data, work.folder, work.is_demo) == (small_demo, tmp_path / "out", False)
    assert work.folder.is_dir() and work.submission.parent == work.folder


def test_a_relative_data_folder_is_looked_for_in_the_project_too(small_demo, tmp_path, monkeypatch):
    project, elsewhere = tmp_path / "project", tmp_path / "project" / "notebooks"
    elsewhere.mkdir(parents=True)
    shutil.copytree(small_demo, project / "clips")
    monkeypatch.setattr(workspace, "project_folder", lambda: project)
    monkeypatch.chdir(elsewhere)    # as in JupyterLab
    assert open_workspace("clips", tmp_path / "out", kaggle=tmp_path / "no kaggle").data == project / "clips"
    with pytest.raises(KitError, match=f"no data folder {elsewhere}/other, {project}/other"):
        open_workspace("other", tmp_path / "out")


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
    assert demo.recipe().members == 2 and not demo.recipe().classifiers and demo.recipe().mixup == 0.3
    assert demo.recipe("published").mixup == 0
    recipe = demo.recipe(members=5, epochs=3, settings="lr=0.001 model=cnn3")
    assert (recipe.members, recipe.epochs, recipe.lr, recipe.model) == (5, 3, 0.001, "cnn3")
    with pytest.raises(KitError, match="members=-1 is out of range"):
        real.recipe(members=-1)


# --- what 01_spleeter keeps for the others ---


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(workspace.demo, "make", lambda folder: folder)      # its sounds are not needed
    return tmp_path / "runs"


EMPTY = {"data": "", "out": "", "recipe": "", "settings": "", "on_bad": ""}


def opened(data, out, **choices):
    """What 01_spleeter does in its first cells."""
    given = read_parameters(**{"recipe": "best", "settings": "", "on_bad": "fail", **choices, "data": data, "out": out})
    work = open_workspace(given.data, given.out)
    remember(given, work)
    return work


def test_the_choices_of_the_first_notebook_are_taken_up(small_demo, tmp_path, runs):
    opened(small_demo, tmp_path / "other")
    opened(small_demo, tmp_path / "mine", recipe="published", settings="separator=none", on_bad="skip")
    expected = {
        "data": str(small_demo), "out": str(tmp_path / "mine"), "recipe": "published", "settings": "separator=none",
        "on_bad": "skip",
    }
    assert recall(**EMPTY) == expected                          # the last work folder
    assert recall(**EMPTY | {"out": tmp_path / "other"})["recipe"] == "best"     # another one
    assert recall(**EMPTY | {"recipe": None, "members": 0}) == expected | {"members": 0}
    assert recall(data="", out="") == {name: expected[name] for name in ("data", "out")}


def test_what_is_given_counts_and_settings_belong_to_their_recipe(small_demo, tmp_path, runs):
    opened(small_demo, tmp_path / "mine", recipe="published", settings="separator=none")
    given = recall(**EMPTY | {"recipe": "quick"})
    assert (given["recipe"], given["settings"], given["data"]) == ("quick", "", str(small_demo))
    assert recall(**EMPTY | {"settings": "lr=0.1"})["settings"] == "lr=0.1"


def test_the_work_folder_of_a_data_folder_is_found(small_demo, tmp_path, runs):
    opened(small_demo, "", recipe="quick")
    opened(small_demo, tmp_path / "last")
    assert recall(**EMPTY | {"data": small_demo})["recipe"] == "quick"


def test_the_demo_is_named_when_nothing_was_opened(tmp_path, runs, capsys):
    assert recall(**EMPTY) == EMPTY | {"recipe": "best", "on_bad": "fail"}
    assert "01_spleeter was not run before, and no data folder is given: this is the demo" in capsys.readouterr().err
    work = opened("", tmp_path / "gone")
    shutil.rmtree(work.folder)
    assert recall(**EMPTY)["out"] == "" and "this is the demo" in capsys.readouterr().err


def test_the_demo_stays_the_demo(tmp_path, runs):
    work = opened("", "")
    assert work.is_demo
    given = recall(**EMPTY)
    assert given["data"] == "" and open_workspace(given["data"], given["out"]).is_demo


def test_on_kaggle_the_choices_are_in_its_working_folder(tmp_path, runs):
    kaggle = tmp_path / "kaggle"
    (kaggle / "input").mkdir(parents=True)
    assert recall(**EMPTY, kaggle=kaggle)["recipe"] == "best"
    work = open_workspace(kaggle=kaggle)
    remember(read_parameters(data="", out="", recipe="quick", settings="", on_bad="fail"), work)
    assert recall(**EMPTY, kaggle=kaggle) == EMPTY | {"recipe": "quick", "on_bad": "fail"}
