"""Vocals as one file per split, and apart again."""

import zipfile

import pytest

from snippetkit.run.earlier_output import copy_earlier_output
from snippetkit.utils.errors import KitError
from snippetkit.vocals.packing import pack, unpack


@pytest.fixture
def vocals(tmp_path):
    folder = tmp_path / "output" / "vocals"
    for split, count in {"train": 3, "test": 2}.items():
        (folder / split).mkdir(parents=True)
        for i in range(count):
            (folder / split / f"{i}.flac").write_bytes(f"{split} {i}".encode())
    for name in ("clips.json", "separation.json"):
        (folder / name).write_text("{}")
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_packed_vocals_are_unpacked_to_the_same_bytes(vocals):
    before = contents(vocals)
    pack(vocals)
    assert contents(vocals).keys() == {"train.zip", "test.zip", "clips.json", "separation.json"}
    pack(vocals)    # nothing is left to pack
    unpack(vocals)
    assert contents(vocals) == before
    unpack(vocals)


def test_a_packing_or_an_unpacking_that_was_killed_loses_nothing(vocals):
    before = contents(vocals)
    pack(vocals)
    (vocals / "train").mkdir()
    (vocals / "train" / "1.flac").write_bytes(before["train/1.flac"])   # killed while removing, or while unpacking
    unpack(vocals)
    assert contents(vocals) == before


def test_a_damaged_archive_is_named(vocals):
    pack(vocals)
    (vocals / "test.zip").write_bytes(b"no archive")
    with pytest.raises(KitError, match="test.zip is damaged .*Delete it; the vocals are separated again"):
        unpack(vocals)
    assert (vocals / "train" / "0.flac").exists()


def test_packed_vocals_are_copied_even_if_the_features_are_there(vocals, tmp_path):
    pack(vocals)
    features = vocals.parent / "features"
    features.mkdir()
    for name in ("train.npy", "test.npy", "train.json", "test.json", "songs.json", "folds.json", "songs.csv"):
        (features / name).write_text("{}")
    attached, work = tmp_path / "input", tmp_path / "work"
    attached.mkdir()
    vocals.parent.rename(attached / "earlier")
    work.mkdir()
    copy_earlier_output(work, attached)
    assert zipfile.is_zipfile(work / "vocals" / "train.zip") and not list(work.glob("vocals/*/*.flac"))
    unpack(work / "vocals")
    copy_earlier_output(work, attached)
    assert not list(work.glob("vocals/*.zip")), "what was unpacked is not copied again"
