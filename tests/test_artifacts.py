"""The protocol for artefacts: a record beside each one, the difference named, folders made once."""

import json
import os
import signal
from multiprocessing import get_context

import pytest

from snippetkit.utils import artifacts
from snippetkit.utils.artifacts import claim, difference, fingerprint, make_folder_once, read_record
from snippetkit.utils.errors import KitError

MADE_BY = {"recipe": {"epochs": 10, "lr": 0.1}, "clips": "0123456789ab"}


@pytest.mark.parametrize("wanted, text", [
    (MADE_BY, ""),
    ({"recipe": {"epochs": 10}}, ""),
    ({"recipe": {"epochs": 20, "lr": 0.2}}, "epochs: 10, now 20; lr: 0.1, now 0.2"),
    ({"clips": "ba9876543210"}, "different clips"),
    ({"seed": 3}, "seed: None, now 3"),
])
def test_difference_names_what_differs_from_the_wanted_values(wanted, text):
    assert difference(MADE_BY, wanted) == text


@pytest.mark.parametrize("content", ["", "[" * 100_000, "\xff", '{"format": 2'])
def test_damaged_json_is_refused_in_one_sentence(content, tmp_path):
    (tmp_path / "array.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(KitError, match="array.json is damaged .*Delete it and run again"):
        read_record(tmp_path / "array.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(KitError, match="folder.json cannot be read: Is a directory"):
        read_record(tmp_path / "folder.json")


@pytest.mark.parametrize("note", [[], 3, {"rows": 2}, {"made_by": artifacts.digest(MADE_BY)}])
def test_damaged_progress_counts_no_rows(note, tmp_path):
    (tmp_path / "array.progress.json").write_text(json.dumps(note))
    (tmp_path / "array.partial.npy").touch()
    assert artifacts.rows_done(tmp_path / "array.npy", MADE_BY) == 0


def test_claim_writes_a_record_once_and_then_checks_it(tmp_path):
    path = tmp_path / "array.json"
    record = {"format": artifacts.FORMAT, "made_by": MADE_BY, "shape": [3, 2]}
    for shape in ([3, 2], [9]):
        assert claim(path, MADE_BY, artifact="array.npy", shape=shape) == read_record(path) == record
    message = r"array.npy was created differently \(different clips\). Choose .* delete the file to start again"
    with pytest.raises(KitError, match=message):
        claim(path, {**MADE_BY, "clips": "ba9876543210"}, artifact="array.npy", delete="the file")
    assert read_record(path) == record


@pytest.mark.parametrize("record", [
    {"epochs": 10}, {"format": 1, "made_by": MADE_BY}, ["a list"], "text", 0, {"format": artifacts.FORMAT},
    {"format": artifacts.FORMAT, "made_by": ["a list"]},
])
def test_record_of_another_version_is_refused_in_one_sentence(record, tmp_path):
    (tmp_path / "array.json").write_text(json.dumps(record))
    message = f"array.json is damaged, or was written by another version.*delete {tmp_path} to start again"
    with pytest.raises(KitError, match=message):
        claim(tmp_path / "array.json", MADE_BY, artifact="array.npy")


def test_fingerprint_changes_with_any_file_and_with_their_order(tmp_path):
    one, two = tmp_path / "1.mp3", tmp_path / "2.mp3"
    for path in (one, two):
        path.write_bytes(bytes(5000))
    before = fingerprint([one, two])
    assert fingerprint([one, two]) == before != fingerprint([two, one]) and before != fingerprint([one])
    two.write_bytes(bytes(2500) + b"x" + bytes(2499))
    assert fingerprint([one, two]) != before
    before = fingerprint([one, two])
    two.unlink()
    assert fingerprint([one, two]) not in (before, fingerprint([one]))


def build(folder):
    (folder / "a.txt").write_text("a")


def test_complete_folder_is_not_made_again(tmp_path):
    folder = make_folder_once(tmp_path / "made", MADE_BY, build, contents={"a.txt"})
    assert set(os.listdir(folder)) == {"a.txt", "made_by.json"} and os.listdir(tmp_path) == ["made"]
    before = (folder / "made_by.json").stat().st_mtime_ns
    assert make_folder_once(folder, MADE_BY, pytest.fail, contents={"a.txt"}) == folder
    assert (folder / "made_by.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("path, message", [
    ("other", "other was created differently .epochs: 5, now 10."),
    ("thesis", "thesis has no made_by.json"),
    ("thesis/text", "text is a file. Choose a new folder"),
    ("work", r"\.part-work holds other files and is in the way. Move it"),
    ("thesis/text/below", "below could not be written: Not a directory. Make room or choose another folder"),
])
def test_folder_with_other_contents_is_refused_and_not_changed(path, message, tmp_path):
    make_folder_once(tmp_path / "other", {"recipe": {"epochs": 5}}, build, contents={"a.txt"})
    for folder in ("thesis", ".part-work"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "text").write_text("years of work")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KitError, match=message):
        make_folder_once(tmp_path / path, MADE_BY, build, contents={"a.txt"})
    assert sorted(tmp_path.rglob("*")) == before


def build_half(folder):
    (folder / "a.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)


def test_folder_is_made_again_after_a_killed_process(tmp_path):
    arguments = {"folder": tmp_path / "made", "made_by": {}, "contents": {"a.txt"}}
    killed = get_context("spawn").Process(target=make_folder_once, kwargs={**arguments, "build": build_half})
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL and os.listdir(tmp_path) == [".part-made"]
    make_folder_once(**arguments, build=build)
    assert os.listdir(tmp_path) == ["made"] and (tmp_path / "made" / "a.txt").read_text() == "a"
