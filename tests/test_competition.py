import shutil

import numpy as np
import pytest

from snippetkit.data import competition
from snippetkit.data.labels import read_labels, write_labels
from snippetkit.data.submission import read_sample_ids, write_submission
from snippetkit.utils.errors import KitError


def labels_of(folder):
    return folder / "train_label.txt"


def test_everything_is_found_and_in_order(small_demo):
    found = competition.find(small_demo)
    assert [clip.name for clip in found.train] == [f"{i}.mp3" for i in range(24)]
    assert found.labels.tolist() == [int(line) for line in labels_of(small_demo).read_text().split()]
    assert found.test_ids.tolist() == list(range(8)) and found.test[3].name == "3.mp3"
    assert len(found.test_labels) == 8


def test_kaggles_nested_folders(copied_demo, tmp_path):
    root = tmp_path / "input"
    slug = root / "competitions" / "test-of-singers"  # "test" in the outer name must not mislead
    for split, inner in (("train", "train_mp3s/train_mp3s"), ("test", "test/test")):
        shutil.copytree(copied_demo / f"{split}_mp3s", slug / inner)
    shutil.copy(labels_of(copied_demo), slug)
    shutil.copy(copied_demo / "example_submission.csv", root / "competitions")
    found = competition.find(root)
    assert (len(found.train), len(found.test), found.test_labels) == (24, 8, None)


def test_without_a_sample_the_ids_ascend(copied_demo):
    (copied_demo / "example_submission.csv").unlink()
    assert competition.find(copied_demo).test_ids.tolist() == list(range(8))


def test_rows_follow_the_sample(copied_demo):
    ids = [5, 0, 7, 1, 2, 6, 4, 3]
    (copied_demo / "example_submission.csv").write_text("id,category\n" + "".join(f"{i},1\n" for i in ids))
    before = competition.find(copied_demo)
    assert before.test_ids.tolist() == ids
    assert [int(clip.stem) for clip in before.test] == ids
    by_id = read_labels(copied_demo / "answers" / "test_label.txt")
    assert before.test_labels.tolist() == [by_id[i] for i in ids]


def no_train(folder):
    shutil.rmtree(folder / "train_mp3s")


def no_test(folder):
    shutil.rmtree(folder / "test_mp3s")


def no_labels(folder):
    labels_of(folder).unlink()


def gap(folder):
    (folder / "train_mp3s" / "7.mp3").unlink()


def doubled_id(folder):
    shutil.copy(folder / "train_mp3s" / "7.mp3", folder / "train_mp3s" / "007.mp3")


def unnumbered(folder):
    shutil.copy(folder / "train_mp3s" / "7.mp3", folder / "train_mp3s" / "7 (copy).mp3")


def second_train_folder(folder):
    shutil.copytree(folder / "train_mp3s", folder / "old_train")


def fewer_labels(folder):
    labels_of(folder).write_text("1\n" * 23)


def more_labels(folder):
    labels_of(folder).write_text("1\n" * 25)


def label_outside(folder):
    labels_of(folder).write_text("1\n" * 5 + "4\n" + "1\n" * 18)


def label_no_number(folder):
    labels_of(folder).write_text("1\n" * 5 + "male\n" + "1\n" * 18)


def label_blank(folder):
    labels_of(folder).write_text("1\n" * 5 + "\n" + "1\n" * 18)


def label_not_utf8(folder):
    labels_of(folder).write_bytes(b"1\n\xff\n")


def labels_disagree(folder):
    write_labels(folder / "train_label.npz", np.zeros(24, int))


def sample_lacks_a_row(folder):
    (folder / "example_submission.csv").write_text("id,category\n" + "".join(f"{i},1\n" for i in range(7)))


def sample_has_no_clip(folder):
    (folder / "example_submission.csv").write_text("id,category\n" + "".join(f"{i},1\n" for i in range(9)))


def sample_doubles(folder):
    (folder / "example_submission.csv").write_text("id,category\n" + "".join(f"{i},1\n" for i in [*range(8), 3]))


def sample_without_ids(folder):
    (folder / "example_submission.csv").write_text("clip,category\n0,1\n")


def samples_disagree(folder):
    (folder / "sample_submission.csv").write_text("id,category\n" + "".join(f"{i},1\n" for i in reversed(range(8))))


def label_enormous(folder):
    labels_of(folder).write_text("1\n" * 5 + "9" * 40 + "\n" + "1\n" * 18)


def answers_without_their_clip(folder):
    (folder / "test_mp3s" / "2.mp3").unlink()
    (folder / "example_submission.csv").unlink()


def sample_empty(folder):
    (folder / "example_submission.csv").write_text("")


WRONG = {
    no_train: r"no train clips found under .*competition",
    no_test: r"no test clips found under .*competition",
    no_labels: r"no labels found .* train_label\.txt",
    gap: r"train_mp3s has a gap: 23 train clips, .* no 7\.mp3",
    doubled_id: r"007\.mp3 and .*7\.mp3 both claim id 7",
    unnumbered: r"7 \(copy\)\.mp3 is not named by a number",
    second_train_folder: r"more than one folder of train clips .*old_train.*train_mp3s",
    fewer_labels: r"train_label\.txt has fewer labels than there are clips: 23, but 24",
    more_labels: r"train_label\.txt has more labels than there are clips: 25, but 24",
    label_outside: r"train_label\.txt gives clip 5 the label 4; labels lie in 0–3",
    label_no_number: r"line 6 of .*train_label\.txt has 'male'",
    label_blank: r"line 6 of .*train_label\.txt has ''",
    label_not_utf8: r"train_label\.txt is not text in UTF-8",
    labels_disagree: r"train_label\.npz and .*train_label\.txt hold different labels",
    sample_lacks_a_row: r"example_submission\.csv does not match .*no row for clip 7",
    sample_has_no_clip: r"example_submission\.csv does not match .*no clip for id 8",
    sample_doubles: r"example_submission\.csv lists id 3 twice",
    sample_without_ids: r"example_submission\.csv has no column id",
    samples_disagree: r"sample_submission\.csv list different ids, or in another order",
    label_enormous: r"line 6 of .*train_label\.txt has '99",
    answers_without_their_clip: r"test_mp3s has a gap: 7 test clips.*no 2\.mp3",
    sample_empty: r"example_submission\.csv is not a readable CSV",
}


@pytest.mark.parametrize("damage", WRONG, ids=lambda damage: damage.__name__)
def test_wrong_input_is_a_sentence(copied_demo, damage):
    damage(copied_demo)
    with pytest.raises(KitError, match=WRONG[damage]):
        competition.find(copied_demo)


def test_no_such_folder(tmp_path):
    with pytest.raises(KitError, match="there is no data folder .*nowhere"):
        competition.find(tmp_path / "nowhere")


def test_a_sample_as_it_comes_from_kaggle(tmp_path):
    path = tmp_path / "example_submission.csv"
    path.write_bytes(b"\xef\xbb\xbfid,category\r\n0,1\r\n1,1")
    assert read_sample_ids(path).tolist() == [0, 1]


@pytest.mark.parametrize("content", ["0\n1\n2\n3\n", "\ufeff0\r\n1\r\n2\r\n3\r\n", "0\n1\n2\n3", " 0\n1 \n2\n3\n\n\n"])
def test_text_labels_with_their_quirks(tmp_path, content):
    path = tmp_path / "train_label.txt"
    path.write_bytes(content.encode())
    assert read_labels(path).tolist() == [0, 1, 2, 3]


def test_csv_labels_in_any_order(tmp_path):
    path = tmp_path / "train_label.csv"
    path.write_text("id,category\n2,3\n0,1\n1,0\n")
    assert read_labels(path).tolist() == [1, 0, 3]
    path.write_text("id,category\n2,3\n0,1\n")
    with pytest.raises(KitError, match="every id from 0 to 1 once"):
        read_labels(path)


def test_npz_labels(tmp_path):
    path = tmp_path / "train_label.npz"
    write_labels(path, np.array([3, 0, 1]))
    assert np.load(path)["labels"].tolist() == [3, 0, 1]
    assert read_labels(path).tolist() == [3, 0, 1]
    np.savez(path, label=[1])
    with pytest.raises(KitError, match="no key 'labels'"):
        read_labels(path)
    np.savez(path, labels=[0.5])
    with pytest.raises(KitError, match="expected one row of whole numbers"):
        read_labels(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(KitError, match=r"not a readable \.npz"):
        read_labels(path)
    path.write_bytes(b"no archive")
    with pytest.raises(KitError, match=r"not a readable \.npz"):
        read_labels(path)


def test_an_npz_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "train_label.npz"
    np.savez(path, labels=np.array([print], dtype=object))
    with pytest.raises(KitError, match=r"not a readable \.npz"):
        read_labels(path)


def test_the_submission_is_plain(tmp_path):
    path = tmp_path / "submission.csv"
    write_submission(path, [2, 0], [3, 1])
    assert path.read_bytes() == b"id,category\n2,3\n0,1\n"


def test_sort_copies_or_links_and_never_moves(small_competition, tmp_path):
    train, labels = small_competition.train, small_competition.labels
    for link in (False, True):
        competition.sort_clips(train, labels, tmp_path / str(link), link=link)
        sorted_clips = list((tmp_path / str(link)).rglob("*.mp3"))
        assert len(sorted_clips) == 24 and all(clip.exists() for clip in train)
        for clip in sorted_clips:
            assert clip.parent.name.startswith(str(labels[int(clip.stem)]))
            assert clip.is_symlink() == link
            assert clip.read_bytes() == train[int(clip.stem)].read_bytes()


def test_a_folder_without_clips(tmp_path):
    with pytest.raises(KitError, match="no clips found"):
        competition.clips_in(tmp_path)


def test_the_real_competition(real_clips):
    found = competition.find(real_clips)
    assert (len(found.train), len(found.test)) == (3824, 983)
    assert np.bincount(found.labels).tolist() == [354, 902, 1127, 1441]
    assert found.test_ids.tolist() == list(range(983))
