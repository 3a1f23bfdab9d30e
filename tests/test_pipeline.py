"""Whole runs as a user starts them: real processes, real notebooks, real files."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pexpect
import pytest
from conftest import SHORT, run_kit
from nbformat.sign import NotebookNotary

from snippetkit.data import competition
from snippetkit.prediction.scores import blend, collect
from snippetkit.run import pipeline, unchanged
from snippetkit.run.other_runs import collect_beside
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.run.workspace import Workspace
from snippetkit.training.data import prepare
from snippetkit.training.ensemble import train_ensemble
from snippetkit.training.members import finished_members
from snippetkit.utils.errors import KitError
from snippetkit.utils.paths import project_folder

SHORT_SETTINGS = "separator=none model=cnn3 batch_size=8"


def run(data, out, *options, status=0):
    """The finished process of a short run with this exit status."""
    result = run_kit("run", "--data", data, "--out", out, *SHORT, *options)
    assert result.returncode == status, result.stderr
    return result


def refused(data, out, *options):
    """What a short run prints that ends with a message and no traceback."""
    stderr = run(data, out, *options, status=1).stderr
    assert "Traceback" not in stderr
    return stderr


def report_of(out):
    return json.loads((out / "report.json").read_text())


def predicted(out):
    """The categories in the submission."""
    return pd.read_csv(out / "submission.csv")["category"].tolist()


def mean_logits(folders, split):
    return np.mean([np.load(folder / f"{split}_logits.npy") for folder in folders], axis=0)


def outputs_of(out, name):
    """All outputs in the executed copy of a notebook."""
    notebook = nbformat.read(out / "notebooks" / f"{name}.ipynb", as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


# --- the demo, with the published recipe ---


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """The work folder of `python -m snippetkit run`, with what it printed in ``stdout``."""
    out = tmp_path_factory.mktemp("demo") / "out"
    result = run_kit("run", "--out", out)
    assert result.returncode == 0, result.stderr
    (out / "stdout").write_text(result.stdout)
    return out


@pytest.mark.slow
def test_the_demo_ends_with_all_results_and_an_accurate_submission(demo_run):
    stdout, report = (demo_run / "stdout").read_text(), report_of(demo_run)
    for name in ("submission", "report", "figures", "validation accuracy", "test accuracy"):
        assert name in stdout
    assert report["members"] == 2 and report["separator"] == "none" and report["is_demo"]
    assert {path.stem for path in (demo_run / "notebooks").iterdir()} == set(NOTEBOOKS)
    figures = {"clip", "separation", "triangles", "gallery", "bands", "songs", "learning_curves", "confusion"}
    assert {path.stem for path in (demo_run / "figures").iterdir()} == figures
    labels = competition.find(demo_run / "competition").test_labels
    assert np.mean(predicted(demo_run) == labels) == report["test"]["accuracy"] >= 0.75


@pytest.mark.slow
def test_a_shuffled_label_file_gives_chance(demo_run, tmp_path):
    data = {"true": demo_run / "competition", "shuffled": tmp_path / "competition"}
    shutil.copytree(data["true"], data["shuffled"])
    labels = np.loadtxt(data["true"] / "train_label.txt", int)
    np.savetxt(data["shuffled"] / "train_label.txt", np.random.default_rng(0).permutation(labels), "%d")
    accuracy = {}
    options = ["--epochs", 5, "--set", "split=songs", "--set", "folds=2", "--set", "standardise=true"]
    for name, folder in data.items():
        run(folder, tmp_path / name, *options)
        validation = report_of(tmp_path / name)["validation"]
        assert validation["clips"] == len(labels)
        accuracy[name] = validation["accuracy"]
    # chance is the largest class at best; four deviations of that many guesses
    chance = np.bincount(labels).max() / len(labels) + 4 * np.sqrt(0.25 / len(labels))
    assert accuracy["shuffled"] < chance < accuracy["true"]


# --- another data folder ---


def test_run_ends_with_a_submission_in_the_order_of_the_sample(short_run, small_competition):
    stderr, report = (short_run / "stderr").read_text(), report_of(short_run)
    submission = pd.read_csv(short_run / "submission.csv")
    assert submission["id"].tolist() == small_competition.test_ids.tolist()
    assert submission["category"].between(0, 3).all()
    scores, held_out = pd.read_csv(short_run / "test_scores.csv"), pd.read_csv(short_run / "held_out.csv")
    assert scores["id"].tolist() == submission["id"].tolist()
    for table, predicted in ((scores, submission["category"]), (held_out, held_out["predicted"])):
        probabilities = table.filter(like="probability_").to_numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), np.ones(8))
        assert probabilities.argmax(axis=1).tolist() == predicted.tolist()
    assert report["validation"]["interval"] is None and "may be too high by several points" in report["notes"][0]
    assert report["validation"]["clips"] == 8 and len(report["validation_by_members"]) == 2
    assert np.sum(report["validation"]["confusion"]) == sum(report["predicted"]) == 8
    for number, name in enumerate(NOTEBOOKS, start=1):
        assert f"[{number}/4] {name}" in stderr


def test_the_executed_notebooks_show_what_was_done(short_run):
    texts = {name: (short_run / "notebooks" / f"{name}.ipynb").read_text() for name in NOTEBOOKS}
    assert "separator: none. Nothing was separated" in texts["01_spleeter"]
    assert texts["01_spleeter"].count("<audio") >= 4 and texts["04_predict"].count("<audio") >= 4
    assert "2 of 2 members are finished" in texts["03_train_ensemble"]
    assert 'download=\\"submission.csv\\"' in texts["04_predict"] and "largest class would give" in texts["04_predict"]
    assert "labelled " in texts["04_predict"] and "Train on vocals" in texts["04_predict"]
    for text in texts.values():
        assert '"injected-parameters"' in text
        assert "Warning" not in text and '"stderr"' not in text  # JupyterLab shows these on red
        assert "\\r" not in text  # of a progress bar only the end is left
    assert texts["03_train_ensemble"].count("member 00: 100%") == 1
    for text in texts.values():
        assert NotebookNotary().check_signature(nbformat.reads(text, as_version=4)), "or its players are not shown"


def test_the_second_run_skips_everything(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    made = [*out.rglob("*.safetensors"), *out.rglob("*.npy"), out / "features" / "songs.csv"]
    before = {path: path.stat().st_mtime_ns for path in made}
    again = run(small_demo, out)
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert (out / "submission.csv").read_bytes() == (short_run / "submission.csv").read_bytes()
    assert again.stdout == (short_run / "stdout").read_text().replace(str(short_run), str(out))
    assert not any(title in again.stderr for title in ("member 00", "features of", "checking", "describing"))


def test_a_finished_run_needs_no_kernel_until_a_file_changes(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    copy = out / "notebooks" / "04_predict.ipynb"
    first, executed = run(small_demo, out), copy.stat().st_mtime_ns
    second = run(small_demo, out)
    assert "nothing has changed since the notebooks" in second.stderr and "[1/4]" not in second.stderr
    assert second.stdout == first.stdout and copy.stat().st_mtime_ns == executed
    (out / "submission.csv").unlink()
    third = run(small_demo, out)
    assert "[4/4]" in third.stderr and (out / "submission.csv").exists()
    assert "[4/4]" in run(small_demo, out, "--neighbours", "0.5").stderr


def test_files_behind_links_count_and_so_do_changes_while_a_run_works(tmp_path):
    work, clips, data = tmp_path / "work", tmp_path / "clips", tmp_path / "data"
    for folder in (work, clips, data):
        folder.mkdir()
    (clips / "0.mp3").write_text("one")
    (data / "train").symlink_to(clips)
    (data / "labels.txt").symlink_to(clips / "labels")
    (data / "work").symlink_to(work)

    def inputs():
        return unchanged.state_of_inputs({"members": 1}, [data], work)

    before = inputs()
    (work / "submission.csv").touch()
    assert inputs() == before, "the run's own files are no inputs"
    unchanged.mark_executed(work, before)
    assert unchanged.is_unchanged(work, inputs())
    (clips / "0.mp3").write_text("other")
    assert not unchanged.is_unchanged(work, inputs())
    (clips / "0.mp3").unlink()
    unchanged.mark_executed(work, before)       # the clip changed during the run
    assert not unchanged.is_unchanged(work, inputs())
    unchanged.mark_executed(work, inputs())
    (clips / "labels").touch()                  # the link to it led nowhere
    assert not unchanged.is_unchanged(work, inputs())


@pytest.mark.parametrize("record", ["vocals/clips.json", "features/train.json", "members/member_00/recipe.json"])
def test_work_folder_of_another_version_is_refused(short_run, small_demo, small_competition, tmp_path, record):
    work = Workspace(small_demo, shutil.copytree(short_run, tmp_path / "out"))
    content = json.loads((work.folder / record).read_text())
    (work.folder / record).write_text(json.dumps(content["made_by"]))   # as earlier versions wrote it
    recipe = work.recipe("published", settings=SHORT_SETTINGS, epochs=2, members=2)
    with pytest.raises(KitError, match="was written by another version of snippetkit. Choose another output folder"):
        train_ensemble(work.members, recipe, prepare(small_competition, work, recipe))


def test_work_folder_of_another_version_is_refused_as_a_whole(short_run, small_demo, tmp_path):
    work = Workspace(small_demo, shutil.copytree(short_run, tmp_path / "out"))
    for path in [*work.vocals.glob("*.json"), *work.features.glob("*.json"), *work.members.glob("*/recipe.json")]:
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(KitError, match=f"^{work.folder} was created by another version .*, or delete this one to"):
        pipeline.run(work, recipe="published", settings=SHORT_SETTINGS, epochs=2, members=2)


@pytest.mark.slow
def test_own_table_of_songs_is_used_up_to_the_submission(short_run, small_demo, tmp_path):
    out, table = tmp_path / "out", small_demo / "answers" / "songs.csv"
    options = ["--set", "split=songs", "--set", "folds=2", "--songs", table, "--neighbours", "0.5"]
    result = run(small_demo, out, *options)
    report, held_out, truth = report_of(out), pd.read_csv(out / "held_out.csv"), pd.read_csv(table)
    train, test = (truth.loc[truth["split"] == split, "song"].to_numpy() for split in ("train", "test"))
    songs = truth["song"].nunique()
    assert report["songs"] == {"source": "own table", "songs": songs, "groups": songs}
    validation = report["validation"]
    assert validation["split"] == "songs" and validation["clips"] == 24 and validation["members_per_clip"] == 1
    assert any("out-of-fold with songs kept apart: 24 of 24" in note for note in report["notes"])
    assert "on 24 validation clips, 1 member per clip" in result.stdout
    assert held_out["id"].tolist() == list(range(24))
    fold = np.array(json.loads((out / "features" / "folds.json").read_text())["fold"])
    assert set(fold) == {0, 1} and all(len(set(fold[train == song])) == 1 for song in set(train))

    # each clip is blended with its song: validation clips and test clips
    members = [out / "members" / name for name in ("member_00", "member_01")]
    logits = np.zeros((24, 4))
    for number, member in enumerate(members):
        logits[fold == number] = np.load(member / "valid_logits.npy")
    without, blended = (
        np.mean(scores.argmax(axis=1) == held_out["label"]) for scores in (logits, blend(logits, train, share=0.5))
    )
    assert validation["with_neighbours"] == pytest.approx({"share": 0.5, "without": without, "accuracy": blended})
    assert np.mean(held_out["label"] == held_out["predicted"]) == pytest.approx(validation["accuracy"])
    assert validation["accuracy"] == pytest.approx(blended)
    assert any(note.startswith("neighbours=0.5 changed") for note in report["notes"])
    assert predicted(out) == blend(mean_logits(members, "test"), test, share=0.5).argmax(axis=1).tolist()

    assert run_kit("compare", out, out, check=True).stdout.startswith("24 clips: ")
    assert "one run has split=random" in run_kit("compare", out, short_run).stderr


@pytest.mark.slow
def test_a_run_of_other_features_is_averaged_in(short_run, small_demo, tmp_path):
    out = tmp_path / "out"
    run(small_demo, out, "--members", 1, "--set", "n_mels=20", "--beside", short_run)
    members = [*out.glob("members/member_*"), *short_run.glob("members/member_*")]
    assert len(members) == 3 and predicted(out) == mean_logits(members, "test").argmax(axis=1).tolist()
    held_out = pd.read_csv(out / "held_out.csv")
    assert held_out["predicted"].tolist() == mean_logits(members, "valid").argmax(axis=1).tolist()
    report = report_of(out)
    assert (report["members"], report["members_wanted"], report["validation"]["members_per_clip"]) == (3, 3, 3)
    (other,) = report["beside"]
    assert other["members"] == 2 and other["recipe"]["n_mels"] == 40
    assert "Averaged with the members of other runs: 2 of short_run." in report["notes"]
    # members of other runs do not count as finished ones of this run
    result = run(small_demo, out, "--members", 2, "--set", "n_mels=20", "--beside", short_run, "--max-hours", 1e-6)
    assert "1 of 2 members are finished; run the same command again to go on." in result.stdout


@pytest.mark.parametrize("beside, settings, message", [
    ("empty", "", "there is no finished member in .*empty"),
    ("nowhere", "", "there is no work folder .*nowhere"),
    ("out", "", "names a run twice, or this run itself"),
    (" other, other,", "", "names a run twice, or this run itself"),
    ("other", "split=songs", "split=random and this run split=songs"),
])
def test_run_that_cannot_be_averaged_in_is_refused_before_anything_is_made(
    short_run, small_demo, tmp_path, monkeypatch, beside, settings, message
):
    for name in ("out", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "other").symlink_to(short_run)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KitError, match=message):
        pipeline.run(Workspace(small_demo, tmp_path / "out"), recipe="published", settings=settings, beside=beside)
    assert not list((tmp_path / "out").iterdir())


def test_run_with_other_labels_is_not_averaged_in(short_run, small_demo, small_competition, tmp_path):
    work = Workspace(small_demo, shutil.copytree(short_run, tmp_path / "out"))
    data = prepare(small_competition, work, work.recipe("published", settings=SHORT_SETTINGS))
    other = replace(data, labels=1 - data.labels)
    with pytest.raises(KitError, match="are of other clips, labels or songs and cannot be averaged"):
        collect_beside(collect(work.members, data), other, [short_run], small_competition)


@pytest.mark.slow
def test_a_budget_that_is_spent_is_no_failure(small_demo, tmp_path):
    stopped = run(small_demo, tmp_path, "--max-hours", "0.000001")
    assert "0 of 2 members are finished; run the same command again to go on" in stopped.stdout
    assert not (tmp_path / "submission.csv").exists()


# --- runs that are refused ---


@pytest.mark.parametrize("arguments, message", [
    (["--set", "hop=200"], "was created differently (hop: 160, now 200)"),
    (["--set", "epochs=many"], "epochs='many' has the wrong type. It must be a whole number"),
    (["--on-bad", "ignore"], "on_bad='ignore' is unknown"),
])
def test_run_with_another_recipe_or_a_wrong_option_is_refused(short_run, small_demo, arguments, message):
    assert message in refused(small_demo, short_run, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("change, message", [
    (lambda data: shutil.copy(data / "train_mp3s" / "3.mp3", data / "train_mp3s" / "4.mp3"),
     "vocals was created differently (different clips)"),
    (lambda data: np.savetxt(data / "train_label.txt", np.arange(24) % 4, "%d"),
     "was created differently (different training data)"),
], ids=["clips", "labels"])
def test_run_with_other_data_is_refused(short_run, copied_demo, change, message):
    change(copied_demo)
    assert message in refused(copied_demo, short_run)


def test_output_folder_that_cannot_be_written_is_refused(small_demo, tmp_path):
    (tmp_path / "notebooks").write_text("a file where a folder belongs")
    assert "01_spleeter.ipynb could not be written: File exists" in refused(small_demo, tmp_path)


@pytest.mark.slow
def test_without_weights_nothing_is_separated_another_way(small_demo, tmp_path):
    options = ["--set", "separator=torch", "--weights", tmp_path]
    assert "contains no weights of Spleeter" in refused(small_demo, tmp_path / "out", *options)


@pytest.mark.slow
def test_damaged_clips_stop_the_run_or_are_skipped(damaged, tmp_path):
    out = tmp_path / "out"
    assert "2 of 32 clips are bad" in run(damaged.root, out, status=1).stderr
    (error,) = [output for output in outputs_of(out, "01_spleeter") if output.output_type == "error"]
    assert len(error.traceback) == 1 and error.traceback[0].startswith("KitError: 2 of 32 clips are bad")
    result = run(damaged.root, out, "--on-bad", "skip")
    assert "note: Bad clips: 1 train clips left out, 1 test clips partly salvaged." in result.stdout
    assert {kind: list(clips) for kind, clips in report_of(out)["bad_clips"].items()} == {
        "left_out": ["3"], "salvaged": ["2"],
    }
    assert len(predicted(out)) == 8


def execute(folder, code):
    """Run a notebook of one cell, in a folder whose name has braces; returns what the cell printed."""
    source, target = folder / "{in}" / "cell.ipynb", folder / "{out}" / "cell.ipynb"
    source.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), source)
    pipeline._execute(source, target, {})
    return nbformat.read(target, as_version=4).cells[0].outputs[0].text.strip()


@pytest.mark.parametrize("spec", ['{"argv": ["/nowhere/python", "{connection_file}"], "language": "R"}', '{"argv": ['])
def test_notebooks_run_in_the_kernel_of_this_python_whatever_is_installed(tmp_path, monkeypatch, spec):
    kernel = tmp_path / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert execute(tmp_path, "import sys; print(sys.executable)") == sys.executable


@pytest.mark.parametrize("code, message", [
    ("import os; os._exit(1)", "the kernel of cell.ipynb died: it was killed, or memory ran out"),
    ("import os, signal; os.kill(os.getppid(), signal.SIGINT); input()", "the run was stopped. What was saved is kept"),
])
def test_kernel_that_ends_is_reported_in_one_sentence(tmp_path, capfd, code, message):
    with pytest.raises(KitError, match=message):
        execute(tmp_path, code)
    assert "".join(capfd.readouterr()).strip() in ("", "KeyboardInterrupt")     # IPython's own word


@pytest.mark.parametrize("error, message", [
    (PermissionError(13, "Permission denied", "/run/k.json"), "cell.ipynb could not be run: Permission denied: /run"),
    (OSError(28, "No space left on device"), "out}/cell.ipynb could not be written: No space left"),
    (RuntimeError("Kernel died before replying"), "the kernel of cell.ipynb did not start: Kernel died before"),
], ids=["runtime folder", "disk", "start"])
def test_only_an_error_of_writing_is_called_one(tmp_path, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pipeline.papermill, "execute_notebook", fail)
    with pytest.raises(KitError, match=message):
        execute(tmp_path, "")


@pytest.mark.slow
def test_cell_that_raises_is_named(small_demo, tmp_path):
    folder = shutil.copytree(project_folder() / "notebooks", tmp_path / "notebooks")
    broken = folder / "02_features.ipynb"
    broken.write_text(broken.read_text().replace("open_workspace(given.data, given.out)", "1 / 0"))
    with pytest.raises(KitError, match="of 02_features.ipynb failed with ZeroDivisionError: division by zero"):
        pipeline.run(
            Workspace(small_demo, tmp_path / "out"), recipe="published", settings="separator=none", folder=folder,
        )
    assert "error" in [output.output_type for output in outputs_of(tmp_path / "out", "02_features")]


@pytest.mark.slow
def test_ctrl_c_gives_one_message_and_loses_nothing(small_demo, weights, tmp_path):
    command = [
        "-m", "snippetkit", "run", "--data", small_demo, "--out", tmp_path, "--recipe", "published",
        "--weights", weights,
    ]
    # a shell lets background processes, and so these tests, ignore what Ctrl-C sends
    terminal = pexpect.spawn(
        sys.executable, [str(word) for word in command], encoding="utf-8", timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    terminal.expect(r"separating vocals:.* [1-9]\d*/32")
    terminal.sendintr()
    output = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 1
    assert "Error: the run was stopped. What was saved is kept: run again to continue." in output.splitlines(), output
    assert not any(line in output for line in ("Traceback", "never retrieved", "Kernel died"))
    assert list(tmp_path.glob("vocals/*/*.flac"))


# --- other ways to the features ---


@pytest.mark.slow
def test_imported_features_are_named_in_the_report(short_run, small_demo, tmp_path):
    exported, out = tmp_path / "vocals of another program", tmp_path / "out"
    for split in ("train", "test"):
        run_kit("export-features", short_run / "features" / f"{split}.npy", exported, check=True)
        run_kit("import-features", exported, split, "--data", small_demo, "--out", out, check=True)
        shutil.rmtree(exported)
    result = run(small_demo, out)
    assert "train: imported from vocals of another program" in result.stdout
    assert "those of the mixture" not in result.stdout


@pytest.mark.slow
def test_vocals_are_separated_on_the_way_to_the_submission(small_demo, weights, tmp_path):
    separator = ["--set", "separator=torch"]
    first = run(small_demo, tmp_path, *separator, "--weights", weights)
    report = report_of(tmp_path)
    assert report["separator"] == "torch" and len(report["weights"]) == 12
    assert "those of the mixture" not in first.stdout
    assert len(list(tmp_path.glob("vocals/*/*.flac"))) == 32
    assert {"separation.png", "vocal_shares.png"} <= {path.name for path in (tmp_path / "figures").iterdir()}
    outputs = [str(output) for output in outputs_of(tmp_path, "01_spleeter")]
    clips, parts = [output for output in outputs if "<audio" in output]
    sounds = [clips.count(f"data:audio/{kind};base64") for kind in ("mpeg", "flac")]
    assert sounds == [4, 4], "a clip of each class, and its vocals"
    assert parts.count("<audio") == 3 and "accompaniment" in parts
    assert any("separator: torch, weights" in output for output in outputs)
    # complete: without the weights, and with the same ones
    for again in ([], ["--weights", weights]):
        assert "separating" not in run(small_demo, tmp_path, *separator, *again).stderr


# --- the notebooks without the command line ---


@pytest.mark.slow
def test_plain_papermill_with_parameters(short_run, small_demo, tmp_path):
    out = shutil.copytree(short_run, tmp_path / "out")
    values = {"data": small_demo, "out": out, "members": 3, "epochs": 2}
    values |= {"recipe": "published", "settings": SHORT_SETTINGS}
    parameters = [word for name, value in values.items() for word in ("-p", name, str(value))]
    command = [Path(sys.executable).with_name("papermill"), "notebooks/03_train_ensemble.ipynb", tmp_path / "out.ipynb"]
    subprocess.run([*command, *parameters], cwd=project_folder(), check=True, timeout=300)
    assert finished_members(out / "members") == [0, 1, 2]


@pytest.mark.slow
def test_the_real_competition(real_clips, tmp_path):
    # one epoch of one member takes two minutes; the accuracy of so little training does not matter
    short = ["--set", "separator=none", "--set", "model=cnn3", "--members", "1", "--epochs", "1"]
    result = run_kit("run", "--recipe", "published", "--data", real_clips, "--out", tmp_path / "out", *short)
    assert result.returncode == 0, result.stderr
    submission = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert submission["id"].tolist() == list(range(983)) and submission["category"].between(0, 3).all()
