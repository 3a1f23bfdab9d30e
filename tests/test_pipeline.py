"""The whole road as its user goes it: real processes, real notebooks, real files."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import SHORT, run_kit

from snippetkit.data import competition
from snippetkit.prediction import scores
from snippetkit.recipe import Recipe
from snippetkit.run import other_runs
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.run.workspace import Workspace, open_workspace
from snippetkit.training.data import prepare
from snippetkit.training.ensemble import train_ensemble
from snippetkit.training.members import finished_members
from snippetkit.utils.errors import KitError
from snippetkit.utils.paths import project_folder


def run(*arguments):
    return run_kit("run", *arguments)


# --- the demo, with the published recipe ---


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """`python -m snippetkit run`, but for the folder."""
    out = tmp_path_factory.mktemp("demo") / "out"
    result = run("--out", out)
    assert result.returncode == 0, result.stderr
    return out, result


@pytest.mark.slow
def test_the_demo_ends_with_everything_promised(demo_run):
    out, result = demo_run
    for name in ("submission", "report", "figures", "validation accuracy", "test accuracy"):
        assert name in result.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["members"] == 2 and report["separator"] == "none"
    submission = pd.read_csv(out / "submission.csv")
    assert submission["id"].tolist() == list(range(report["clips"]["test"]))
    assert {path.stem for path in (out / "notebooks").iterdir()} == set(NOTEBOOKS)
    figures = {"clip", "triangles", "gallery", "bands", "songs", "learning_curves", "confusion", "ensemble_size"}
    assert {path.stem for path in (out / "figures").iterdir()} == figures


@pytest.mark.slow
def test_an_ensemble_of_two_knows_the_demos_answers(demo_run):
    out, _ = demo_run
    found = competition.find(out / "competition")
    predicted = pd.read_csv(out / "submission.csv")["category"].to_numpy()
    accuracy = (predicted == found.test_labels).mean()
    assert accuracy >= 0.75
    assert json.loads((out / "report.json").read_text())["test"]["accuracy"] == accuracy


@pytest.mark.slow
def test_a_shuffled_label_file_gives_chance(demo_run, tmp_path):
    true, shuffled = demo_run[0] / "competition", tmp_path / "competition"
    shutil.copytree(true, shuffled, copy_function=os.link)
    labels = np.loadtxt(true / "train_label.txt", int)
    (shuffled / "train_label.txt").unlink()
    np.savetxt(shuffled / "train_label.txt", np.random.default_rng(0).permutation(labels), "%d")
    options = [*SHORT, "--epochs", "5", "--set", "split=songs", "--set", "folds=2", "--set", "standardise=true"]
    accuracy = {}
    for data in (true, shuffled):
        result = run("--data", data, "--out", tmp_path / f"of {data.parent.name}", *options)
        assert result.returncode == 0, result.stderr
        validation = json.loads((tmp_path / f"of {data.parent.name}" / "report.json").read_text())["validation"]
        assert validation["clips"] == len(labels)
        accuracy[data] = validation["accuracy"]
    # chance is the largest class at best; four deviations of that many guesses
    chance = np.bincount(labels).max() / len(labels) + 4 * np.sqrt(0.25 / len(labels))
    assert accuracy[shuffled] < chance < accuracy[true]


@pytest.mark.slow
def test_the_second_run_of_the_demo_skips_everything(demo_run):
    out, first = demo_run
    made = [*out.rglob("*.safetensors"), *out.rglob("*.npy"), *(out / "competition").rglob("*.mp3")]
    before = {path: path.stat().st_mtime_ns for path in made}
    submission = (out / "submission.csv").read_bytes()
    again = run("--out", out)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert (out / "submission.csv").read_bytes() == submission
    assert again.stdout == first.stdout
    assert "member 00" not in again.stderr and "features of" not in again.stderr and "checking" not in again.stderr


# --- a folder of one's own ---


def test_it_ends_with_a_submission_in_the_samples_order(short_run, small_competition):
    out, stderr = short_run, (short_run / "stderr").read_text()
    submission = pd.read_csv(out / "submission.csv")
    assert submission["id"].tolist() == small_competition.test_ids.tolist()
    assert submission["category"].between(0, 3).all()
    scores, held_out = pd.read_csv(out / "test_scores.csv"), pd.read_csv(out / "held_out.csv")
    assert scores["id"].tolist() == submission["id"].tolist()
    for table, predicted in ((scores, submission["category"]), (held_out, held_out["predicted"])):
        probabilities = table.filter(like="probability_").to_numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), np.ones(8))
        assert probabilities.argmax(axis=1).tolist() == predicted.tolist()
    report = json.loads((out / "report.json").read_text())
    assert report["validation"]["interval"] is None and "may be too high by several points" in report["notes"][0]
    assert report["validation"]["clips"] == 8 and len(report["validation_by_members"]) == 2
    assert np.array(report["validation"]["confusion"]).sum() == 8
    assert sum(report["predicted"]) == 8
    for number, name in enumerate(NOTEBOOKS, start=1):
        assert f"[{number}/4] {name}" in stderr


def test_the_executed_notebooks_say_what_was_done(short_run):
    out = short_run
    texts = {}
    for name in NOTEBOOKS:
        notebook = nbformat.read(out / "notebooks" / f"{name}.ipynb", as_version=4)
        assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
        texts[name] = nbformat.writes(notebook)
    assert "separator: none. Nothing was separated" in texts["01_spleeter"]
    assert texts["01_spleeter"].count("<audio") >= 4 and texts["04_predict"].count("<audio") >= 4
    assert "2 of 2 members are finished" in texts["03_train_ensemble"]
    assert 'download=\\"submission.csv\\"' in texts["04_predict"]
    for text in texts.values():
        assert "Warning" not in text and '"stderr"' not in text  # what JupyterLab shows on red
        assert "\\r" not in text  # of a progress bar only the end is left
    assert texts["03_train_ensemble"].count("member 00: 100%") == 1


def test_the_second_run_skips_everything(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    made = [*out.rglob("*.safetensors"), *out.rglob("*.npy"), out / "features" / "songs.csv"]
    before = {path: path.stat().st_mtime_ns for path in made}
    again = run("--data", small_demo, "--out", out, *SHORT)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert (out / "submission.csv").read_bytes() == (short_run / "submission.csv").read_bytes()
    assert not any(title in again.stderr for title in ("member 00", "features of", "checking", "listening"))


@pytest.mark.parametrize("record", ["vocals/clips.json", "features/train.json", "members/member_00/recipe.json"])
def test_a_work_folder_of_another_version_is_refused_in_one_sentence(short_run, small_demo, tmp_path, record):
    out = shutil.copytree(short_run, tmp_path / "out", ignore=shutil.ignore_patterns("notebooks", "figures"))
    content = json.loads((out / record).read_text())
    (out / record).write_text(json.dumps(content["made_by"]))   # as earlier versions wrote it
    with pytest.raises(KitError, match="was written by another version of snippetkit. Choose another output folder"):
        work = open_workspace(small_demo, out, kaggle=tmp_path / "no kaggle")
        recipe = work.recipe(settings="separator=none model=cnn3 batch_size=8", epochs=2, members=2)
        data = prepare(competition.find(small_demo), work, recipe)
        train_ensemble(work.members, recipe, data)


@pytest.mark.slow
def test_songs_of_ones_own_are_kept_apart_to_the_end(short_run, small_demo, tmp_path):
    out = tmp_path / "out"
    songs = small_demo / "answers" / "songs.csv"
    options = [*SHORT, "--set", "split=songs", "--set", "folds=2", "--songs", songs, "--neighbours", "0.5"]
    result = run("--data", small_demo, "--out", out, *options)
    assert result.returncode == 0, result.stderr
    report = json.loads((out / "report.json").read_text())
    truth = pd.read_csv(songs)
    train = truth[truth["split"] == "train"]["song"].to_numpy()
    songs_in_it = truth["song"].nunique()
    assert report["songs"] == {"source": "own table", "songs": songs_in_it, "groups": songs_in_it}
    validation = report["validation"]
    assert validation["split"] == "songs" and validation["clips"] == 24 and validation["members_per_clip"] == 1
    assert any("out-of-fold with songs kept apart: 24 of 24" in note for note in report["notes"])
    assert "on 24 validation clips, 1 member per clip" in result.stdout
    held_out = pd.read_csv(out / "held_out.csv")
    assert held_out["id"].tolist() == list(range(24))
    assert (held_out["label"] == held_out["predicted"]).mean() == pytest.approx(validation["accuracy"])
    fold = np.array(json.loads((out / "features" / "folds.json").read_text())["fold"])
    assert set(fold) == {0, 1} and all(len(set(fold[train == song])) == 1 for song in set(train))

    # the answers are those of clip and song together: for the clips held out, and for the test clips
    neighbours = validation["with_neighbours"]
    assert neighbours["share"] == 0.5 and neighbours["accuracy"] == validation["accuracy"]
    its = np.zeros((24, 4))
    for member in range(2):
        its[fold == member] = np.load(out / f"members/member_{member:02d}/valid_logits.npy")
    blended = np.array([(row + its[train == song].mean(axis=0)) / 2 for row, song in zip(its, train)])
    for answers, name in ((its, "without"), (blended, "accuracy")):
        assert neighbours[name] == pytest.approx((answers.argmax(axis=1) == held_out["label"]).mean())
    assert any(note.startswith("neighbours=0.5 changed") for note in report["notes"])
    logits = np.mean([np.load(path) for path in sorted(out.glob("members/*/test_logits.npy"))], axis=0)
    test = truth[truth["split"] == "test"]["song"].to_numpy()
    blended = [(row + logits[test == song].mean(axis=0)) / 2 for row, song in zip(logits, test)]
    assert pd.read_csv(out / "submission.csv")["category"].tolist() == np.argmax(blended, axis=1).tolist()

    command = [sys.executable, "-m", "snippetkit", "compare", out, short_run]
    compared = subprocess.run(command, capture_output=True, text=True)
    assert compared.returncode == 1 and "one run has split=random" in compared.stderr
    compared = subprocess.run([*command[:4], out, out], capture_output=True, text=True)
    assert compared.returncode == 0 and compared.stdout.startswith("24 clips: ")


@pytest.mark.slow
def test_a_run_of_other_features_is_averaged_in(short_run, small_demo, tmp_path):
    theirs, out = short_run, tmp_path / "out"
    result = run("--data", small_demo, "--out", out, *SHORT[:-1], 1, "--set", "n_mels=20", "--beside", theirs)
    assert result.returncode == 0, result.stderr
    folders = [*sorted(out.glob("members/member_*")), *sorted(theirs.glob("members/member_*"))]
    logits = np.mean([np.load(folder / "test_logits.npy") for folder in folders], axis=0)
    assert len(folders) == 3 and pd.read_csv(out / "submission.csv")["category"].tolist() == logits.argmax(1).tolist()
    logits = np.mean([np.load(folder / "valid_logits.npy") for folder in folders], axis=0)
    assert pd.read_csv(out / "held_out.csv")["predicted"].tolist() == logits.argmax(1).tolist()
    report = json.loads((out / "report.json").read_text())
    assert (report["members"], report["members_wanted"], report["validation"]["members_per_clip"]) == (3, 3, 3)
    assert [each["members"] for each in report["beside"]] == [2] and report["beside"][0]["recipe"]["n_mels"] == 40
    assert "Averaged with the members of other runs: 2 of short_run." in report["notes"]


@pytest.mark.parametrize(["beside", "settings", "sentence"], [
    ("empty", (), "there is no finished member in .*empty"),
    ("out", (), "names a run twice, or this run itself"),
    ("theirs", ("--set", "split=songs"), "split=random and this run split=songs"),
])
def test_a_run_that_cannot_be_averaged_in_is_refused_before_anything_is_made(
    short_run, small_demo, tmp_path, beside, settings, sentence
):
    for name in ("out", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs").symlink_to(short_run)
    result = run("--data", small_demo, "--out", tmp_path / "out", *SHORT, *settings, "--beside", tmp_path / beside)
    assert result.returncode == 1 and re.search(sentence, result.stderr)
    assert not list((tmp_path / "out").rglob("*"))


def test_folders_are_named_with_commas_between_them():
    assert other_runs.folders_named(" runs/a, runs/b,") == ["runs/a", "runs/b"] and other_runs.folders_named("") == []


def test_runs_that_cannot_be_averaged_are_sentences(short_run, small_demo, small_competition, tmp_path):
    work, recipe = Workspace(small_demo, short_run), Recipe.published().with_values(separator="none")
    data = prepare(small_competition, work, recipe)
    result = scores.collect(work.members, data)
    theirs = shutil.copytree(work.folder, tmp_path / "theirs")
    with pytest.raises(KitError, match="names a run twice, or this run itself"):
        other_runs.collect_beside(result, data, [work.folder], small_competition)
    with pytest.raises(KitError, match="names a run twice, or this run itself"):
        other_runs.collect_beside(result, data, [theirs, theirs], small_competition)
    with pytest.raises(KitError, match="no validation clip in common"):
        scores.together(result, [replace(result, valid_clips=result.valid_clips + 100)])
    with pytest.raises(KitError, match="there is no work folder .*nowhere"):
        other_runs.collect_beside(result, data, [tmp_path / "nowhere"], small_competition)
    by_songs = replace(result, recipe=result.recipe.with_values(split="songs"))
    with pytest.raises(KitError, match="split=random and this run split=songs"):
        other_runs.collect_beside(by_songs, data, [theirs], small_competition)
    other = replace(data, labels=1 - data.labels)
    with pytest.raises(KitError, match="are of other clips, labels or songs and cannot be averaged"):
        other_runs.collect_beside(result, other, [theirs], small_competition)


@pytest.mark.slow
def test_more_members_are_added_to_those_there(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    before = (out / "members" / "member_00" / "done.json").stat().st_mtime_ns
    result = run("--data", small_demo, "--out", out, *SHORT[:-1], 3)
    assert result.returncode == 0, result.stderr
    assert json.loads((out / "report.json").read_text())["members"] == 3
    assert (out / "members" / "member_00" / "done.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_budget_that_is_spent_is_no_failure(small_demo, tmp_path):
    out = tmp_path / "out"
    result = run("--data", small_demo, "--out", out, *SHORT, "--max-hours", "0.000001")
    assert result.returncode == 0, result.stderr
    assert "0 of 2 members are finished; run the same command again to go on" in result.stdout
    assert not (out / "submission.csv").exists()
    result = run("--data", small_demo, "--out", out, *SHORT)
    assert result.returncode == 0 and (out / "submission.csv").exists()


@pytest.mark.parametrize("arguments, sentence", [
    pytest.param(["--recipe", "best"], "(split: 'random', now 'songs'; standardise: False", marks=pytest.mark.slow),
    (["--set", "hop=200"], "was created differently (hop: 160, now 200)"),
    (["--recipe", "bets"], "there is no recipe 'bets'. Choose one of published, best"),
    (["--set", "epochs=many"], "epochs='many' has the wrong type. It must be a whole number"),
    (["--set", "learning_rate=1"], "a recipe has no 'learning_rate'"),
    (["--on-bad", "ignore"], "on_bad='ignore' is unknown"),
])
def test_a_run_into_a_folder_of_another_kind_is_one_sentence(short_run, small_demo, arguments, sentence):
    result = run("--data", small_demo, "--out", short_run, *SHORT, *arguments)
    assert result.returncode == 1
    assert sentence in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_run_into_a_folder_of_other_data_is_one_sentence(short_run, copied_demo):
    clips = copied_demo / "train_mp3s"
    shutil.copy(clips / "3.mp3", clips / "4.mp3")
    result = run("--data", copied_demo, "--out", short_run, *SHORT)
    assert result.returncode == 1
    assert "vocals was created differently (different clips)" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_in_a_notebook_a_mistake_is_the_sentence_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("--data", tmp_path / "empty", "--out", tmp_path / "out")
    assert result.returncode == 1 and "no train clips found" in result.stderr
    notebook = nbformat.read(tmp_path / "out" / "notebooks" / "01_spleeter.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    (error,) = [output for output in outputs if output.output_type == "error"]
    assert len(error.traceback) == 1 and error.traceback[0].startswith("KitError: no train clips found")


def test_an_output_folder_that_refuses_is_one_sentence(small_demo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notebooks").write_text("a file where a folder belongs")
    result = run("--data", small_demo, "--out", out, *SHORT)
    assert result.returncode == 1 and "01_spleeter.ipynb could not be written: File exists" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_other_labels_for_the_same_clips_are_one_sentence(short_run, copied_demo):
    labels = copied_demo / "train_label.txt"
    labels.write_text("".join(f"{(int(line) + 1) % 4}\n" for line in labels.read_text().split()))
    result = run("--data", copied_demo, "--out", short_run, *SHORT)
    assert result.returncode == 1 and "was created differently (different training data)" in result.stderr


@pytest.mark.slow
def test_damaged_clips_stop_the_run_or_are_skipped(copied_demo, tmp_path):
    (copied_demo / "train_mp3s" / "3.mp3").write_bytes(b"")
    (copied_demo / "test_mp3s" / "5.mp3").write_text("no sound")
    result = run("--data", copied_demo, "--out", tmp_path / "out", *SHORT)
    assert result.returncode == 1 and "2 of 32 clips are bad" in result.stderr
    result = run("--data", copied_demo, "--out", tmp_path / "out", *SHORT, "--on-bad", "skip")
    assert result.returncode == 0, result.stderr
    assert len(pd.read_csv(tmp_path / "out" / "submission.csv")) == 8
    bad = json.loads((tmp_path / "out" / "report.json").read_text())["bad_clips"]
    assert list(bad["left_out"]) == ["3"] and list(bad["salvaged"]) == ["5"]
    assert "note: Bad clips: 1 train clips left out, 1 test clips partly salvaged." in result.stdout


@pytest.mark.slow
def test_imported_features_are_named_in_the_report(short_run, small_demo, tmp_path):
    exported, out = tmp_path / "vocals of another program", tmp_path / "out"
    for split in ("train", "test"):
        array = short_run / "features" / f"{split}.npy"
        for command in (
            ["export-features", array, exported],
            ["import-features", exported, split, "--data", small_demo, "--out", out],
        ):
            subprocess.run([sys.executable, "-m", "snippetkit", *map(str, command)], check=True, capture_output=True)
        shutil.rmtree(exported)
    result = run("--data", small_demo, "--out", out, *SHORT)
    assert result.returncode == 0, result.stderr
    assert "train: imported from vocals of another program" in result.stdout
    assert "those of the mixture" not in result.stdout


@pytest.mark.slow
def test_from_clips_by_way_of_vocals_to_the_submission(small_demo, weights, tmp_path):
    out, options = tmp_path / "out", [*SHORT, "--set", "separator=torch"]
    first = run("--data", small_demo, "--out", out, *options, "--weights", weights)
    assert first.returncode == 0, first.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["separator"] == "torch" and len(report["weights"]) == 12
    assert "those of the mixture" not in first.stdout
    assert len(list(out.glob("vocals/*/*.flac"))) == 32
    assert {"separation.png", "vocal_shares.png"} <= {path.name for path in (out / "figures").iterdir()}
    notebook = nbformat.read(out / "notebooks" / "01_spleeter.ipynb", as_version=4)
    outputs = [str(output) for cell in notebook.cells for output in cell.get("outputs", [])]
    (players,) = [output for output in outputs if "<audio" in output]
    sounds = [players.count(f"data:audio/{kind};base64") for kind in ("mpeg", "flac")]
    assert sounds == [4, 4], "a clip of each class, and its vocals"
    assert any("separator: torch, weights" in output for output in outputs)
    # complete: without the weights at hand, and with the same ones
    for again in ([], ["--weights", weights]):
        second = run("--data", small_demo, "--out", out, *options, *again)
        assert second.returncode == 0 and "separating" not in second.stderr, second.stderr


@pytest.mark.slow
def test_ctrl_c_is_one_sentence_and_costs_nothing(small_demo, weights, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "snippetkit", "run", "--data", small_demo, "--out", out, "--weights", weights]
    # where the tests run in the background, a shell has them ignore what Ctrl-C sends
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("vocals/*/*.flac")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "Error: the run was stopped. What was saved is kept: run again to continue."
    assert "Traceback" not in said and "never retrieved" not in said
    assert list(out.glob("vocals/*/*.flac"))


@pytest.mark.slow
def test_without_weights_the_run_is_one_sentence(small_demo, tmp_path):
    result = run("--data", small_demo, "--out", tmp_path / "out", "--weights", tmp_path)
    assert result.returncode == 1
    assert "contains no weights of Spleeter" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_cell_that_raises_is_named(small_demo, tmp_path):
    folder = shutil.copytree(project_folder() / "notebooks", tmp_path / "notebooks")
    broken = nbformat.read(folder / "02_features.ipynb", as_version=4)
    [cell for cell in broken.cells if cell.cell_type == "code"][1].source = "1 / 0"
    nbformat.write(broken, folder / "02_features.ipynb")
    code = (
        "import sys; from pathlib import Path; from snippetkit.run.pipeline import run;"
        "from snippetkit.run.workspace import open_workspace;"
        f"run(open_workspace({str(small_demo)!r}, {str(tmp_path / 'out')!r}), folder={str(folder)!r}, "
        "settings='separator=none')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert "of 02_features.ipynb failed with ZeroDivisionError: division by zero" in result.stderr
    assert "ZeroDivisionError" in (tmp_path / "out" / "notebooks" / "02_features.ipynb").read_text()


# --- the notebooks without the command line ---


@pytest.mark.slow
def test_plain_papermill_with_parameters(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    settings = "separator=none model=cnn3 batch_size=8"
    options = {"data": small_demo, "out": out, "members": 3, "epochs": 2, "settings": settings}
    command = [Path(sys.executable).with_name("papermill"), "notebooks/03_train_ensemble.ipynb", tmp_path / "out.ipynb"]
    for name, value in options.items():
        command += ["-p", name, str(value)]
    result = subprocess.run(command, cwd=project_folder(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert finished_members(out / "members") == [0, 1, 2]


@pytest.mark.slow
def test_run_all_from_the_notebooks_folder(short_run, small_demo, tmp_path):
    # as JupyterLab does it: the notebook's own folder is the current one, and parameters are edited by hand
    out = shutil.copytree(short_run, tmp_path / "out")
    (out / "submission.csv").unlink()
    folder = shutil.copytree(project_folder() / "notebooks", tmp_path / "notebooks")
    notebook = nbformat.read(folder / "04_predict.ipynb", as_version=4)
    parameters = next(cell for cell in notebook.cells if cell.metadata.get("tags") == ["parameters"])
    edited = parameters.source.replace('data = ""', f"data = {str(small_demo)!r}").replace('out = ""', "out = '../out'")
    parameters.source = edited
    nbformat.write(notebook, folder / "04_predict.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "04_predict.ipynb"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert (out / "submission.csv").exists()


@pytest.mark.slow
def test_the_real_competition(real_clips, tmp_path):
    # three members' worth of road in two minutes; the accuracy of so little training is not the point
    short = ["--set", "separator=none", "--set", "model=cnn3", "--members", "1", "--epochs", "1"]
    result = run("--data", real_clips, "--out", tmp_path / "out", *short)
    assert result.returncode == 0, result.stderr
    submission = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert submission["id"].tolist() == list(range(983)) and submission["category"].between(0, 3).all()
