"""Folders as real disks have them: links in circles, letter case, folders that cannot be read, and odd names."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import run_kit
from privileges import unreadable

from snippetkit.audio import recordings
from snippetkit.data import competition
from snippetkit.lab.folders import lab_folder
from snippetkit.utils.errors import KitError
from snippetkit.vocals import weights


def link(name, target):
    return lambda root: os.symlink(target, root / name, target_is_directory=True)


def rename(old, new):
    return lambda root: (root / new).parent.mkdir(parents=True, exist_ok=True) or os.rename(root / old, root / new)


def all_of(*changes):
    return lambda root: [change(root) for change in changes]


def clip_in(*folders):
    return lambda root: [
        shutil.copytree(root / "test_mp3s", root / folder, dirs_exist_ok=True) for folder in folders
    ]


def upper_case(root):
    for path in [*root.glob("*/*.mp3"), *root.glob("*.*")]:
        path.rename(path.with_name(path.name.upper()))


SAME = {
    "a link to itself": link("loop", "loop"),
    "one circle": link("a", "."),
    "two circles": all_of(link("a", "."), link("b", ".")),
    "circles further down": all_of(link("train_mp3s/a", ".."), link("test_mp3s/b", ".."), link("test_mp3s/c", ".")),
    "a second way to the clips": link("another", "train_mp3s"),
    "a second way with a name of the split": link("train", "train_mp3s"),
    "names by links only": all_of(rename("train_mp3s", "a"), rename("test_mp3s", "b"), link("train", "a"),
                                  link("test", "b"), link("a/up", ".."), link("b/up", "..")),
    "upper case": upper_case,
    "one clip in upper case": rename("test_mp3s/3.mp3", "test_mp3s/3.MP3"),
    "mixed case": all_of(rename("train_label.txt", "Train_label.TXT"),
                         rename("example_submission.csv", "sampleSubmission.csv")),
    "test in other words": clip_in("contest", "latest", "testament", "attests", "protest_songs", "trainers"),
    "other names of the splits": all_of(rename("train_mp3s", "trainingset"), rename("test_mp3s", "MyTestClips")),
    "a dataset called test-data": all_of(rename("train_mp3s", "test-data/train/x"), rename("test_mp3s", "testing")),
    "a folder named like a clip": lambda root: (root / "train_mp3s" / "24.mp3").mkdir(),
}


@pytest.mark.parametrize("change", SAME)
def test_the_competition_is_found_all_the_same(copied_demo, change):
    SAME[change](copied_demo)
    files = competition.find(copied_demo)
    assert [int(clip.stem) for clip in files.train] == list(range(24)) and files.test_ids.tolist() == list(range(8))
    assert all(path.is_file() for path in (*files.train, *files.test)) and len(files.test_labels) == 8


@pytest.mark.parametrize("name, missing", [
    ("20240131.mp3", "24.mp3, 25.mp3, 26.mp3, 27.mp3, 28.mp3 .20240107 missing"),
    ("1706700000.mp3", "1706699976 missing"), (f"{'9' * 40}.mp3", "24.mp3"),
])
def test_a_high_number_is_a_gap_and_costs_no_memory(copied_demo, name, missing):
    shutil.copy(copied_demo / "train_mp3s" / "0.mp3", copied_demo / "train_mp3s" / name)
    with pytest.raises(KitError, match=f"has a gap: 25 train clips with ids up to {name[:-4]}, but no .*{missing}"):
        competition.find(copied_demo)


def test_clips_that_differ_in_case_only_are_refused(copied_demo):
    shutil.copy(copied_demo / "train_mp3s" / "3.mp3", copied_demo / "train_mp3s" / "3.MP3")
    with pytest.raises(KitError, match="3.MP3 and .*3.mp3 have the same id"):
        competition.find(copied_demo)


@pytest.mark.parametrize("function", [competition.clips_in, competition.mp3s_below, competition.find])
def test_a_folder_that_cannot_be_read_is_named(copied_demo, function):
    folder = copied_demo / "train_mp3s"
    with unreadable(folder), pytest.raises(KitError, match="cannot be read.*(train_mp3s .)?Permission denied"):
        function(folder.parent if function is competition.find else folder)
    with unreadable(copied_demo), pytest.raises(KitError, match="cannot be read.*Permission denied"):
        function(folder)


def test_a_folder_that_is_not_needed_may_be_unreadable(copied_demo, capsys):
    (copied_demo / "lost+found").mkdir()
    with unreadable(copied_demo / "lost+found"):
        assert len(competition.find(copied_demo).train) == 24
    assert "lost+found (Permission denied)" in capsys.readouterr().err


def test_a_sample_submission_and_a_check_count_clips_in_any_case(copied_demo, tmp_path):
    folder, table = copied_demo / "test_mp3s", tmp_path / "sample.csv"
    (folder / "3.mp3").rename(folder / "3.MP3")
    (folder / "9.mp3").mkdir()
    result = run_kit("sample-submission", folder, table)
    assert result.returncode == 0 and table.read_text().count("\n") == 1 + 8, result.stderr
    assert "All 8 clips are good" in run_kit("check", folder).stdout


def test_recordings_are_files_that_are_not_hidden(small_demo, tmp_path):
    """macOS leaves ._00.mp3, and an album may be called album.mp3."""
    for name in ("00.mp3", "._00.mp3", "01.MP3"):
        shutil.copy(small_demo / "train_mp3s" / "0.mp3", tmp_path / name)
    (tmp_path / "album.mp3").mkdir()
    assert [path.name for path in recordings.recordings_in(tmp_path)] == ["00.mp3", "01.MP3"]
    assert lab_folder("name", tmp_path, tmp_path / "out", make=None) == (tmp_path / "out", tmp_path)
    with unreadable(tmp_path), pytest.raises(KitError, match="the folder .* cannot be read: Permission denied"):
        lab_folder("name", tmp_path, tmp_path.parent / "out", make=None)


def test_attached_weights_are_found_among_circles_of_links(tmp_path, monkeypatch):
    monkeypatch.delenv("MODEL_PATH", raising=False)
    folder = tmp_path / "input" / "spleeter" / "2stems"
    folder.mkdir(parents=True)
    for name in weights.SPLEETER.files:
        (folder / name).write_text("x")
    for name, target in {"a": ".", "b": "..", "spleeter/c": "..", "spleeter/2stems/d": "."}.items():
        os.symlink(target, tmp_path / "input" / name)
    assert weights.find_weights(kaggle=tmp_path) == folder
    os.rename(folder, tmp_path / "elsewhere")
    Path(folder).symlink_to(tmp_path / "elsewhere")
    assert weights.find_weights(kaggle=tmp_path) == folder
