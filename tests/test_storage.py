import os

import pytest

from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import read_json, replacing, write_json


def test_nothing_has_the_final_name_before_the_end(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError):
        with replacing(path) as temporary:
            temporary.write_text("after")
            1 / 0
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
    temporary.write_text("a torso")
    with replacing(path) as again:
        again.write_text("whole again")
    assert os.listdir(tmp_path) == ["file.txt"] and path.read_text() == "whole again"


def test_a_link_left_behind_is_not_written_through(tmp_path):
    original, path = tmp_path / "original", tmp_path / "file.txt"
    original.write_text("a clip")
    (tmp_path / ".part-file.txt").symlink_to(original)
    with replacing(path) as temporary:
        temporary.write_text("another")
    assert original.read_text() == "a clip" and path.read_text() == "another" and not path.is_symlink()


def test_a_disk_that_refuses_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(KitError, match="file/below.txt could not be written"):
        with replacing(tmp_path / "file" / "below.txt"):
            pass


def test_json_comes_back_and_a_torso_is_refused(tmp_path):
    path = tmp_path / "note.json"
    assert read_json(path) is None
    write_json(path, {"ä": [1, 2.5, None]})
    assert read_json(path) == {"ä": [1, 2.5, None]}
    path.write_text('{"ä": [1,')
    with pytest.raises(KitError, match="note.json is damaged"):
        read_json(path)
