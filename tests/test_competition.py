"""The files of a competition: what is found, in which order, and the message for each fault."""

import pickle
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from snippetkit.data import competition
from snippetkit.data.labels import read_labels, write_labels
from snippetkit.data.submission import write_submission
from snippetkit.utils.errors import KitError

LABELS, SAMPLE = "train_label.txt", "example_submission.csv"


def sample_of(ids):
    return "id,category\n" + "".join(f"{i},1\n" for i in ids)


def test_all_files_are_found_in_order(small_demo):
    files = competition.find(small_demo)
    assert [clip.name for clip in files.train] == [f"{i}.mp3" for i in range(24)]
    assert files.labels.tolist() == [int(line) for line in (small_demo / LABELS).read_text().split()]
    assert files.test_ids.tolist() == list(range(8)) and files.test[3].name == "3.mp3"
    assert len(files.test_labels) == 8


def test_nested_folders_of_kaggle_are_searched(copied_demo, tmp_path):
    root = tmp_path / "input"
    slug = root / "competitions" / "test-of-singers"    # "test" in the outer name must not make these test clips
    for split, inner in (("train", "train_mp3s/train_mp3s"), ("test", "test/test")):
        shutil.copytree(copied_demo / f"{split}_mp3s", slug / inner)
    shutil.copy(copied_demo / LABELS, slug)
    (slug / "test" / "test" / "._8.mp3").touch()        # macOS leaves such files
    (root / "competitions" / SAMPLE).write_text(sample_of(reversed(range(8))))
    files = competition.find(root)
    assert (len(files.train), files.test_ids.tolist(), files.test_labels) == (24, [7, 6, 5, 4, 3, 2, 1, 0], None)


def test_rows_are_in_the_order_of_the_sample_and_ascend_without_one(copied_demo):
    ids = [5, 0, 7, 1, 2, 6, 4, 3]
    (copied_demo / SAMPLE).write_text(sample_of(ids))
    files = competition.find(copied_demo)
    assert files.test_ids.tolist() == [int(clip.stem) for clip in files.test] == ids
    assert files.test_labels.tolist() == read_labels(copied_demo / "answers" / "test_label.txt")[ids].tolist()
    (copied_demo / SAMPLE).unlink()
    assert competition.find(copied_demo).test_ids.tolist() == list(range(8))


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content.encode("latin-1"))


def copy_clip(name):
    return lambda folder: shutil.copy(folder / "train_mp3s" / "7.mp3", folder / "train_mp3s" / name)


def remove_answered_test_clip(folder):
    (folder / "test_mp3s" / "2.mp3").unlink()
    (folder / SAMPLE).unlink()


FAULTS = {
    r"no train clips found under .*competition": lambda folder: shutil.rmtree(folder / "train_mp3s"),
    r"no test clips found under .*competition": lambda folder: shutil.rmtree(folder / "test_mp3s"),
    r"no labels found .* train_label\.txt": lambda folder: (folder / LABELS).unlink(),
    r"train_mp3s has a gap: 23 train clips .* no 7\.mp3": lambda folder: (folder / "train_mp3s" / "7.mp3").unlink(),
    r"test_mp3s has a gap: 7 test clips .* no 2\.mp3": remove_answered_test_clip,
    r"007\.mp3 and .*7\.mp3 have the same id, 7": copy_clip("007.mp3"),
    r"7 \(copy\)\.mp3 is not named by a number": copy_clip("7 (copy).mp3"),
    r"more than one folder of train clips .*old_train.*train_mp3s":
        lambda folder: shutil.copytree(folder / "train_mp3s", folder / "old_train"),
    r"train_label\.txt has 23 labels, but .*train_mp3s has 24 clips": write(LABELS, "1\n" * 23),
    r"train_label\.txt has 25 labels, but .*train_mp3s has 24 clips": write(LABELS, "1\n" * 25),
    r"train_label\.txt: the label 4 of clip 5 is not in 0–3": write(LABELS, "1\n" * 5 + "4\n" + "1\n" * 18),
    r"line 6 of .*train_label\.txt has 'male'": write(LABELS, "1\n" * 5 + "male\n" + "1\n" * 18),
    r"line 6 of .*train_label\.txt has ''": write(LABELS, "1\n" * 5 + "\n" + "1\n" * 18),
    r"line 6 of .*train_label\.txt has '99": write(LABELS, "1\n" * 5 + "9" * 40 + "\n" + "1\n" * 18),
    r"train_label\.txt is not UTF-8 text": write(LABELS, "1\n\xff\n"),
    r"train_label\.npz and .*train_label\.txt hold different labels":
        lambda folder: write_labels(folder / "train_label.npz", np.zeros(24, int)),
    r"example_submission\.csv does not match .*no row for clip 7": write(SAMPLE, sample_of(range(7))),
    r"example_submission\.csv does not match .*no clip for id 8": write(SAMPLE, sample_of(range(9))),
    r"example_submission\.csv lists id 3 twice": write(SAMPLE, sample_of([*range(8), 3])),
    r"example_submission\.csv has no column id": write(SAMPLE, "clip,category\n0,1\n"),
    r"example_submission\.csv is not a readable CSV": write(SAMPLE, ""),
    r"sample_submission\.csv list different ids or in another order":
        write("sample_submission.csv", sample_of(reversed(range(8)))),
}


@pytest.mark.parametrize("message", FAULTS)
def test_fault_is_named_with_its_file(copied_demo, message):
    FAULTS[message](copied_demo)
    with pytest.raises(KitError, match=message):
        competition.find(copied_demo)


@pytest.mark.parametrize("content", ["0\n1\n2\n3\n", "\ufeff0\r\n1\r\n2\r\n3\r\n", "0\n1\n2\n3", " 0\n1 \n2\n3\n\n\n"])
def test_text_labels_are_read_in_all_variants(tmp_path, content):
    path = tmp_path / LABELS
    path.write_bytes(content.encode())
    assert read_labels(path).tolist() == [0, 1, 2, 3]


def test_csv_labels_are_read_in_any_order(tmp_path):
    path = tmp_path / "train_label.csv"
    path.write_text("id,category\n2,3\n0,1\n1,0\n")
    assert read_labels(path).tolist() == [1, 0, 3]
    path.write_text("id,category\n2,3\n0,1\n")
    with pytest.raises(KitError, match="every id from 0 to 1 once"):
        read_labels(path)


@pytest.mark.parametrize("content", [
    "id,category\n0,3,\n1,0,\n", "id,category,\n0,3,\n1,0,\n", "id,category\r\n\r\n0,3\r\n,\r\n1,0\r\n,,\r\n",
    'id , category,note\n0, 3\n1,"0","several\nlines, quoted"\n', "\ufeffnote,id,category\r,0,3\r,1,0",
])
def test_csv_labels_are_read_in_all_variants(tmp_path, content):
    path = tmp_path / "train_label.csv"
    path.write_bytes(content.encode())
    assert read_labels(path).tolist() == [3, 0]


@pytest.mark.parametrize("content, message", [
    ("id,category\n0,3\n1,0,2\n", "csv, line 3: 3 values, but the first line names 2 columns"),
    ("id,category\n0,3,1,2\n1,0,2,2\n", "csv, line 2: 4 values, but"),
    ("id,category\n\n0,3\n\n\n1,0,,2\n", "csv, line 6: 4 values, but"),
    ("id,category\n\n0,3\n\n1,x\n", "line 5 of .* has 'x'"), ("id,category\n0,3\n1\n", "line 3 of .* has ''"),
    ('id,category,note\n0,3,"a\nb"\n1,x,\n', "line 4 of .* has 'x'"),
    ('id,category,note\n0,3,"a\nb"\n1,"x\n",\n', "line 4 of .* has 'x'"),
    ('id,category\n0,"3\n1,0\n', "not a readable CSV"), ("\n \n", "not a readable CSV file .it is empty"),
    ("id,category,id\n0,3,1\n", "twice the column id"), ("id;category\n0;3\n", "no column id, category"),
    ("id,category\n0,3\0\n", "line 2 of .* has '3.x00'"),
])
def test_a_row_of_a_csv_is_named_by_its_line(tmp_path, content, message):
    path = tmp_path / "train_label.csv"
    path.write_text(content)
    with pytest.raises(KitError, match=message):
        read_labels(path)


def test_npz_labels_are_written_and_read(tmp_path):
    path = tmp_path / "train_label.npz"
    write_labels(path, np.array([3, 0, 1]))
    assert np.load(path)["labels"].tolist() == read_labels(path).tolist() == [3, 0, 1]
    with pytest.raises(KitError, match="must end in .npz"):
        write_labels(tmp_path / LABELS, np.array([3, 0, 1]))
    with pytest.raises(KitError, match="label.json is not a label file"):
        read_labels(tmp_path / "label.json")


def cut_short(path):
    np.savez(path, labels=[3, 0, 1])
    path.write_bytes(path.read_bytes()[:100])


def damage(path):
    np.savez_compressed(path, labels=np.arange(9999) % 4)
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    path.write_bytes(content)


def zip_of(name):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "3\n0\n1\n")

    return write


def save_npy(path):
    with open(path, "wb") as file:
        np.save(file, [3, 0, 1])


@pytest.mark.parametrize("make, message", [
    (lambda path: np.savez(path, label=[1]), "no key 'labels'"),
    (lambda path: np.savez(path, labels=[0.5]), r"float64 labels of shape \(1,\), not one row of whole numbers"),
    (lambda path: np.savez(path, labels=np.array([print], object)), "not a readable .npz"),     # would run code
    (lambda path: path.write_bytes(b"no archive"), "not a readable .npz"),
    (save_npy, "it is one array, as np.save writes it; use np.savez"),
    (cut_short, "not a readable .npz"),
    (damage, "not a readable .npz"),
    (lambda path: path.write_bytes(b""), "not a readable .npz"),
    (zip_of("train_label.txt"), "no key 'labels'. It has train_label.txt"),
    (zip_of("labels"), "labels is not an array"),
    (zip_of("labels.npy"), "not a readable .npz|labels is not an array"),
    (lambda path: np.savez(path, labels=3), r"labels of shape \(\), not one row"),
    (lambda path: path.write_bytes(pickle.dumps([1, 2])), "not a readable .npz"),
])
def test_npz_with_other_contents_or_damage_is_refused(tmp_path, make, message):
    make(tmp_path / "train_label.npz")
    with pytest.raises(KitError, match=message):
        read_labels(tmp_path / "train_label.npz")


def test_submission_is_written_as_plain_utf_8(small_competition, tmp_path):
    path = tmp_path / "submission.csv"
    files = replace(small_competition, test_ids=np.array([2, 0]))
    write_submission(path, files, [3, 1])
    assert path.read_bytes() == b"id,category\n2,3\n0,1\n"


@pytest.mark.parametrize("link", [False, True])
def test_clips_are_sorted_by_copy_or_link_and_never_moved(small_competition, tmp_path, link):
    train, labels = small_competition.train, small_competition.labels
    competition.sort_clips(train, labels, tmp_path, link=link)
    for clip, label in zip(train, labels, strict=True):
        (copy,) = tmp_path.glob(f"{label}_*/{clip.name}")
        assert copy.is_symlink() == link and copy.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("link", [False, True])
def test_clips_sorted_again_are_in_the_folder_of_their_new_label_only(small_competition, tmp_path, before, link):
    train, labels = small_competition.train, small_competition.labels
    competition.sort_clips(train, labels, tmp_path, link=before)
    moved = min(tmp_path.glob("0_*/*.mp3"))
    moved.unlink()
    moved.symlink_to("nowhere")
    competition.sort_clips(train, (labels + 1) % 4, tmp_path, link=link)
    for clip, label in zip(train, labels, strict=True):
        (copy,) = tmp_path.glob(f"*/{clip.name}")
        assert copy.parent.name[0] == str((label + 1) % 4) and copy.is_symlink() == link
        assert copy.read_bytes() == clip.read_bytes()


def test_a_file_that_is_no_copy_of_a_clip_is_never_removed(small_competition, tmp_path):
    train, labels = small_competition.train, small_competition.labels
    competition.sort_clips(train, labels, tmp_path)
    (other,) = tmp_path.glob(f"*/{train[5].name}")
    other.write_bytes(b"of another competition")
    for label in (0, 1):
        with pytest.raises(KitError, match=f"{other} is not a copy of .*5.mp3. Remove it"):
            competition.sort_clips(train, labels * 0 + label, tmp_path)
    assert other.read_bytes() == b"of another competition" and len(list(tmp_path.glob("*/*.mp3"))) == 24


def test_real_competition_is_found(real_clips):
    files = competition.find(real_clips)
    assert (len(files.train), len(files.test)) == (3824, 983)
    assert np.bincount(files.labels).tolist() == [354, 902, 1127, 1441]
    assert files.test_ids.tolist() == list(range(983))
