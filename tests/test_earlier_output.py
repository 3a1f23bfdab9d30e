"""The output of earlier sessions on Kaggle: what is copied into the work folder, and what is not."""

import shutil
import time

import pytest
from kaggle_sessions import contents, read_only

from snippetkit.run import earlier_output
from snippetkit.run.earlier_output import copy_earlier_output
from snippetkit.run.workspace import open_workspace
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils import clock
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import Stopped

NEEDED = {
    "vocals/clips.json", "vocals/separation.json", "features/train.json", "features/train.npy", "features/test.npy",
    "features/songs.csv", "members/member_00/recipe.json", "members/member_00/history.csv",
    "members/member_00/weights.safetensors", "members/member_00/test_logits.npy", "members/member_00/done.json",
    "members/member_01/recipe.json", "members/member_01/last.pt", "members/member_01/history.csv",
}
VOCALS = {"vocals/train/0.flac", "vocals/energy_0a.csv"}


@pytest.fixture
def output(tmp_path):
    """The output of a session that ended in the second member's epoch 3."""
    root = tmp_path / "input" / "notebooks" / "somebody" / "snippetkit-03-train-ensemble"
    for name in [*NEEDED, *VOCALS, "submission.csv"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}" if name.endswith(".json") else name)
    (root / "members/member_01/history.csv").write_text("epoch\n1\n2\n")
    return root


@pytest.fixture
def work(tmp_path):
    return tmp_path / "working"


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix() for path in paths}


def test_everything_that_the_next_stage_needs_is_copied_once(output, work, capsys):
    copy_earlier_output(work, output.parents[2])
    assert files(work) == NEEDED | VOCALS
    assert f"of earlier sessions from {output}" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    copy_earlier_output(work, output.parents[2])
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before
    assert "copying" not in capsys.readouterr().err


def test_weights_of_finished_members_are_not_copied_if_they_are_not_needed(output, work):
    copy_earlier_output(work, output.parents[2], weights=False)
    assert {name for name in files(work) if name.endswith((".pt", ".safetensors"))} == {"members/member_01/last.pt"}


def test_folders_with_other_names_than_a_members_are_not_copied(output, work):
    shutil.copytree(output / "members" / "member_01", output / "members" / "member_01 (copy)")
    copy_earlier_output(work, output.parents[2])
    assert {path.name for path in (work / "members").glob("*_*")} == {"member_00", "member_01"}


def test_vocals_that_are_not_needed_are_copied_only_if_there_are_no_features(output, work):
    copy_earlier_output(work, output.parents[2], vocals=False)
    assert files(work) == NEEDED
    shutil.rmtree(work)
    shutil.rmtree(output / "features")
    copy_earlier_output(work, output.parents[2], vocals=False)
    assert (work / "vocals/train/0.flac").exists()


def test_of_two_outputs_the_one_where_a_member_is_further_is_copied(output, work):
    older = shutil.copytree(output, output.with_name("older"))
    (older / "members/member_01/history.csv").write_text("epoch\n1\n")
    (older / "members/member_00/done.json").unlink()
    copy_earlier_output(work, output.parents[2])
    assert (work / "members/member_00/done.json").exists()
    assert (work / "members/member_01/history.csv").read_text() == "epoch\n1\n2\n"


@pytest.mark.parametrize("record", ["features/train.json", "features/songs.json", "vocals/separation.json"])
def test_stage_that_was_started_from_something_else_is_not_touched(output, work, record):
    for path in output.rglob("*.json"):
        path.write_text('{"of": "the output"}')
    (work / record).parent.mkdir(parents=True)
    (work / record).write_text('{"of": "this run"}')
    copy_earlier_output(work, output.parents[2])
    assert files((work / record).parent) == {(work / record).name}
    assert (work / "members/member_00/done.json").exists()


def test_member_that_is_further_in_the_work_folder_is_kept(output, work):
    member = work / "members" / "member_01"
    member.mkdir(parents=True)
    (member / "history.csv").write_text("epoch\n1\n2\n3\n")
    (member / "last.pt").write_text("further")
    copy_earlier_output(work, output.parents[2])
    assert (member / "last.pt").read_text() == "further" and not (member / "recipe.json").exists()


def test_interrupted_copy_is_completed_by_the_next(output, work, monkeypatch):
    copy = earlier_output._copy

    def interrupted(source, target):
        if source.match("member_01/history.csv"):
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as patch, pytest.raises(Stopped, match="output of earlier sessions was stopped"):
        patch.setattr(earlier_output, "_copy", interrupted)
        copy_earlier_output(work, output.parents[2])
    copy_earlier_output(work, output.parents[2])
    assert files(work) == NEEDED | VOCALS


def test_on_kaggle_training_continues_from_a_read_only_output(tmp_path, small_demo, small_recipe, small_data, cpu):
    attached = tmp_path / "kaggle" / "input"
    earlier = attached / "snippetkit-03-train-ensemble" / "members"
    train_ensemble(earlier, small_recipe.with_values(members=1), small_data, devices=[cpu])
    shutil.copytree(small_demo, attached / "competitions" / "singers")
    before = contents(attached)
    with read_only(attached):
        members = open_workspace(kaggle=tmp_path / "kaggle").members
        assert train_ensemble(members, small_recipe, small_data, devices=[cpu]) == [0, 1]
    weights = (folder / "member_00" / "weights.safetensors" for folder in (members, earlier))
    assert len({path.read_bytes() for path in weights}) == 1
    assert contents(attached) == before


@pytest.mark.parametrize("kind, max_hours, hours", [("Batch", 0, 11), ("Batch", 2, 2), ("Interactive", 0, 0)])
def test_batch_session_on_kaggle_has_eleven_hours(monkeypatch, kind, max_hours, hours):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", kind)
    monkeypatch.setattr(clock, "_START", time.monotonic() - 3600)
    hours -= kind == "Batch" and not max_hours  # those of the session, which started an hour ago
    assert Clock(max_hours).hours_left() == pytest.approx(hours, abs=1e-3)
