"""Files that are written completely or not at all."""

import os

import pytest

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


def test_json_is_read_back_and_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "note.json"
    assert read_json(path) is None
    write_json(path, {"ä": [1, 2.5, None]})
    assert read_json(path) == {"ä": [1, 2.5, None]}
    path.write_text('{"ä": [1,')
    with pytest.raises(KitError, match="note.json is damaged"):
        read_json(path)
