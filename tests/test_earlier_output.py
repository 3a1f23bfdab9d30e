import shutil

import pytest
from kaggle_sessions import read_only

from snippetkit.run import earlier_output
from snippetkit.run.earlier_output import copy_earlier_output
from snippetkit.run.workspace import open_workspace
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import Stopped


@pytest.fixture
def output(tmp_path):
    """What a session left whose second member had come to epoch 2."""
    root = tmp_path / "input" / "notebooks" / "somebody" / "snippetkit-03-train-ensemble"
    for name in (
        "vocals/clips.json", "vocals/separation.json", "vocals/train/0.flac", "features/train.json",
        "features/train.npy", "features/test.npy", "features/songs.csv", "submission.csv",
        *(f"members/member_00/{name}" for name in ("recipe.json", "last.pt", "history.csv", "weights.safetensors")),
        *(f"members/member_01/{name}" for name in ("recipe.json", "last.pt")),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}" if name.endswith(".json") else name)
    (root / "members/member_00/done.json").write_text("{}")
    (root / "members/member_01/history.csv").write_text("epoch\n1\n2\n")
    return root


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def made(work):
    return {name for name in files(work) if not name.endswith(".lock")}


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "working"
    folder.mkdir()
    return folder


def test_everything_that_the_next_stage_needs_is_copied(output, work, capsys):
    copy_earlier_output(work, output.parents[2])
    assert made(work) == files(output) - {"submission.csv", "vocals/train/0.flac"}
    assert f"of earlier sessions from {output}" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    copy_earlier_output(work, output.parents[2])
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before
    assert "copying" not in capsys.readouterr().err


def test_weights_of_finished_members_stay_where_they_are_if_nobody_needs_them(output, work):
    copy_earlier_output(work, output.parents[2], weights=False)
    assert {name for name in files(work) if name.endswith((".pt", ".safetensors"))} == {"members/member_01/last.pt"}


def test_folders_with_other_names_than_a_members_are_not_copied(output, work):
    shutil.copytree(output / "members" / "member_01", output / "members" / "member_01 (copy)")
    copy_earlier_output(work, output.parents[2])
    assert {path.name for path in (work / "members").glob("*_*")} == {"member_00", "member_01"}


def test_vocals_are_copied_as_long_as_there_are_no_features(output, work):
    shutil.rmtree(output / "features")
    copy_earlier_output(work, output.parents[2])
    assert (work / "vocals/train/0.flac").exists()


def test_of_two_outputs_a_member_is_taken_from_where_it_got_furthest(output, work):
    older = shutil.copytree(output, output.with_name("older"))
    (older / "members/member_01/history.csv").write_text("epoch\n1\n")
    (older / "members/member_00/done.json").unlink()
    copy_earlier_output(work, output.parents[2])
    assert (work / "members/member_00/done.json").exists()
    assert (work / "members/member_01/history.csv").read_text() == "epoch\n1\n2\n"


@pytest.mark.parametrize("stage, note", [
    ("features", "train.json"), ("features", "songs.json"), ("vocals", "separation.json"),
])
def test_a_stage_that_was_begun_from_something_else_is_left_alone(output, work, stage, note):
    for path in output.rglob("*.json"):
        path.write_text('{"of": "theirs"}')
    (work / stage).mkdir()
    (work / stage / note).write_text('{"of": "ours"}')
    copy_earlier_output(work, output.parents[2])
    assert files(work / stage) == {note}
    assert (work / "members/member_00/done.json").exists()


def test_what_got_further_here_stays(output, work):
    ours = work / "members" / "member_01"
    ours.mkdir(parents=True)
    (ours / "history.csv").write_text("epoch\n1\n2\n3\n")
    (ours / "last.pt").write_text("ours")
    copy_earlier_output(work, output.parents[2])
    assert (ours / "last.pt").read_text() == "ours" and not (ours / "recipe.json").exists()


def test_a_copy_that_was_cut_short_is_made_again(output, work, monkeypatch):
    whole = earlier_output._copy

    def cut_short(source, target):
        if source.name == "history.csv" and "member_01" in str(source):
            raise KeyboardInterrupt
        whole(source, target)

    with monkeypatch.context() as patch, pytest.raises(Stopped, match="output of earlier sessions was stopped"):
        patch.setattr(earlier_output, "_copy", cut_short)
        copy_earlier_output(work, output.parents[2])
    copy_earlier_output(work, output.parents[2])
    assert made(work) == files(output) - {"submission.csv", "vocals/train/0.flac"}


def test_on_kaggle_a_read_only_output_is_carried_on_from(tmp_path, small_demo, small_recipe, small_data, cpu):
    kaggle = tmp_path / "kaggle"
    left = kaggle / "input" / "snippetkit-03-train-ensemble"
    train_ensemble(left / "members", small_recipe.with_values(members=1), small_data, devices=[cpu])
    shutil.copytree(small_demo, kaggle / "input" / "competitions" / "singers")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in kaggle.rglob("*")}
    with read_only(kaggle / "input"):
        work = open_workspace(kaggle=kaggle)
        assert train_ensemble(work.members, small_recipe, small_data, devices=[cpu]) == [0, 1]
    taken_over = (work.members / "member_00" / "weights.safetensors").read_bytes()
    assert taken_over == (left / "members" / "member_00" / "weights.safetensors").read_bytes()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in before} == before


def test_in_batch_on_kaggle_a_session_has_eleven_hours(monkeypatch):
    for kind, hours in (("Batch", 11), ("Interactive", 0)):
        monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", kind)
        assert Clock().hours_left() == pytest.approx(hours, abs=1e-3)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert Clock(2).hours_left() == pytest.approx(2, abs=1e-3)
