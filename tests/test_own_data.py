"""Data in a layout of your own: a folder for each class, or a CSV of files and labels."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import SHORT, run_kit

from snippetkit.data import competition
from snippetkit.data.submission import write_submission
from snippetkit.utils.errors import KitError

RATE = 16_000


def record(path, hertz=220, seconds=3.0):
    """A tone with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(round(100 * hertz)).normal(scale=0.01, size=len(time))
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * time) + noise, RATE)


def table_of(root, text):
    root.mkdir(exist_ok=True)
    (root / "clips.csv").write_text(text)
    for line in text.splitlines()[1:]:
        record(root / line.split(",")[0])


def test_every_folder_is_a_class(tmp_path):
    for name in ("violin/b.wav", "violin/old/a.wav", "Cello/7.flac", "cover.jpg"):
        record(tmp_path / name) if name.endswith(("wav", "flac")) else (tmp_path / name).touch()
    found = competition.find(tmp_path)
    assert found.classes == ("Cello", "violin") and found.labels.tolist() == [0, 1, 1]
    assert found.names == {"train": ["Cello/7.flac", "violin/b.wav", "violin/old/a.wav"], "test": []}
    assert found.test == () and found.test_labels is None


def test_numbers_of_folders_order_the_classes_as_sort_writes_them(small_demo, tmp_path):
    assert run_kit("sort", small_demo, tmp_path).returncode == 0
    found, original = competition.find(tmp_path), competition.find(small_demo)
    assert found.classes == original.classes
    labels = dict(zip((path.name for path in original.train), original.labels))
    assert [labels[path.name] for path in found.train] == found.labels.tolist()


@pytest.mark.parametrize(("test", "labels"), [
    (["test/x.wav", "test/y.wav"], None),
    (["test/violin/x.wav", "test/cello/y.wav"], [0, 1]),
    (["test/monday/x.wav", "test/cello/y.wav"], None),      # monday is no class
])
def test_a_test_folder_is_optional_and_may_have_labels(tmp_path, test, labels):
    for name in ("train/cello/1.wav", "train/violin/2.wav", *test):
        record(tmp_path / name)
    found = competition.find(tmp_path)
    assert found.classes == ("cello", "violin") and sorted(found.names["test"]) == sorted(test)
    assert labels is None or sorted(found.test_labels) == labels
    assert (found.test_labels is None) == (labels is None)


def test_a_table_names_files_and_labels_and_rows_without_a_label_are_predicted(tmp_path):
    table_of(tmp_path, "file,label,who\na/one.wav,10,x\ntwo.wav,9,x\nthree.wav,,x\nfour.wav,9,x\n")
    found = competition.find(tmp_path)
    assert found.classes == ("9", "10") and found.labels.tolist() == [1, 0, 0]
    assert found.names == {"train": ["a/one.wav", "two.wav", "four.wav"], "test": ["three.wav"]}
    write_submission(tmp_path / "out.csv", found, [1])
    assert (tmp_path / "out.csv").read_text() == "file,label\nthree.wav,10\n"
    named = found.name_files("train", pd.DataFrame({"id": [2, 0], "x": [1, 2]}))
    assert named.to_dict("list") == {"id": [2, 0], "file": ["four.wav", "a/one.wav"], "x": [1, 2]}


@pytest.mark.parametrize(("text", "message"), [
    ("file,label\none.wav,a\none.wav,b\n", r"clips\.csv lists one\.wav twice, in line 3"),
    ("file,label\none.wav,a\ntwo.wav,\n", r"clips\.csv has 1 classes: a\. Two or more"),
    ("file,label\none.wav,a,b,c\n", r"clips\.csv, line 2: 4 values"),
    ("file,label\none.wav,\n", r"clips\.csv has 0 classes: no label"),
])
def test_a_wrong_table_is_refused(tmp_path, text, message):
    table_of(tmp_path, text)
    with pytest.raises(KitError, match=message):
        competition.find(tmp_path)


def test_a_missing_file_and_a_second_table_are_refused(tmp_path):
    table_of(tmp_path, "file,label\none.wav,a\ntwo.wav,b\n")
    (tmp_path / "two.wav").unlink()
    with pytest.raises(KitError, match=r"clips\.csv, line 3: there is no file .*two\.wav \(1 missing\)"):
        competition.find(tmp_path)
    (tmp_path / "more.csv").write_text("file,label\n")
    with pytest.raises(KitError, match=r"clips\.csv, .*more\.csv are tables of files and labels\. Keep one"):
        competition.find(tmp_path)


def test_one_folder_of_sound_is_no_data_set(tmp_path):
    record(tmp_path / "songs" / "1.wav")
    with pytest.raises(KitError, match="a folder for each class, two or more, or a CSV with .* predict RUN"):
        competition.find(tmp_path)


def test_too_few_clips_for_the_folds_are_refused_before_anything_is_made(tmp_path):
    for number in range(3):
        record(tmp_path / "data" / "low" / f"{number}.wav")
        record(tmp_path / "data" / "high" / f"{number}.wav")
    result = run_kit("run", "--data", tmp_path / "data", "--out", tmp_path / "run", "--set", "separator=none",
                     "--set", "classifiers=")
    assert result.returncode == 1 and "3 clips, too few for 5 folds. Choose fewer (--set folds=3)" in result.stderr
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.slow
def test_clips_of_three_classes_and_any_length_are_trained_on_and_predicted(tmp_path):
    names = ("low", "middle", "high")
    for name, hertz in zip(names, (110, 600, 3000)):
        for number in range(6):
            record(tmp_path / "data" / name / f"take {number}.wav", hertz * (1 + number / 50), 2.8 + number / 10)
    result = run_kit("run", "--data", tmp_path / "data", "--out", tmp_path / "run", *SHORT, "--epochs", "40",
                     "--set", "length=any", "--set", "split=songs", "--set", "folds=2")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "submission.csv").read_text() == "file,label\n"
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [row["class"] for row in report["validation"]["classes"]] == sorted(names)
    assert report["validation"]["accuracy"] > 0.8 and report["clips"] == {"train": 18, "test": 0}
    assert pd.read_csv(tmp_path / "run" / "held_out.csv")["file"][0] == "high/take 0.wav"

    record(tmp_path / "new.wav", 3200)
    result = run_kit("predict", tmp_path / "run", tmp_path / "new.wav")
    assert result.returncode == 0 and "new.wav: high, " in result.stdout
