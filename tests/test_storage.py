"""Files that are written completely or not at all."""

import errno
import os
import stat

import numpy as np
import pytest
from tqdm import tqdm

from snippetkit.utils.artifacts import write_rows
from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import read_json, replacing, write_json


def test_file_has_its_final_name_only_when_complete(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["file.txt"]


def test_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("after")
        1 / 0
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_leftover_of_a_killed_process_is_replaced_and_not_followed_if_it_is_a_link(tmp_path):
    original, path = tmp_path / "original", tmp_path / "file.txt"
    original.write_text("a clip")
    (tmp_path / ".part-file.txt").symlink_to(original)
    with replacing(path) as temporary:
        temporary.write_text("another")
    assert original.read_text() == "a clip" and path.read_text() == "another" and not path.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file.txt", "original"]


def test_error_of_the_disk_names_the_file(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(KitError, match="file/below.txt could not be written"):
        write_json(tmp_path / "file" / "below.txt", {})


@pytest.mark.parametrize("code, of_files", [
    (errno.EINVAL, False), (errno.EINVAL, True), (errno.ENOTSUP, True), (errno.ENOSYS, True), (errno.EACCES, False),
    (errno.EIO, False),
], ids=str)
def test_file_system_that_cannot_flush_is_written_to(tmp_path, monkeypatch, code, of_files):
    refuse_to_flush(monkeypatch, code, of_files)
    write_json(tmp_path / "file.json", 1)
    write_json(tmp_path / "file.json", 2)
    assert read_json(tmp_path / "file.json") == 2
    with tqdm(disable=True) as bar:
        write_rows(tmp_path / "rows.npy", "here", (1, 2), [np.ones((1, 2))], bar)
    assert np.load(tmp_path / "rows.npy").tolist() == [[1, 1]]


def test_file_that_cannot_be_flushed_to_a_damaged_disk_is_not_replaced(tmp_path, monkeypatch):
    write_json(tmp_path / "file.json", 1)
    refuse_to_flush(monkeypatch, errno.EIO, True)
    with pytest.raises(KitError, match="file.json could not be written: Input/output error. Earlier files are untouch"):
        write_json(tmp_path / "file.json", 2)
    assert read_json(tmp_path / "file.json") == 1


def refuse_to_flush(monkeypatch, code, of_files):
    """Let fsync fail as on network drives: for folders only, or for files, too."""
    def fsync(descriptor):
        if of_files or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)


def test_json_is_read_back_and_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "note.json"
    assert read_json(path) is None
    for content in ({"ä": [1, 2.5, None]}, "a name that is not UTF-8: \udcff"):
        write_json(path, content)
        assert read_json(path) == content
    path.write_text('{"ä": [1,')
    with pytest.raises(KitError, match="note.json is damaged"):
        read_json(path)
