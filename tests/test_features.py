import json
import pickle
import shutil
import time

import numpy as np
import pytest

from snippetkit import audio, filterbank
from snippetkit.data import competition
from snippetkit.features import extraction as features
from snippetkit.features import published
from snippetkit.features.extraction import Features, load
from snippetkit.recipe import Recipe
from snippetkit.utils.artifacts import write_record
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.vocals.separation import separate

RECIPE = Recipe.published().with_values(separator="none")


@pytest.fixture
def sources(small_competition, tmp_path):
    return separate(small_competition, tmp_path / "vocals", RECIPE, jobs=1)


def test_the_array_holds_every_clips_features_in_order(sources, tmp_path):
    train, _ = sources
    extracted = features.extract(train, tmp_path / "train.npy", RECIPE, jobs=2)
    assert extracted.array.shape == (24, 299, 40) and extracted.array.dtype == np.float32
    assert isinstance(extracted.array, np.memmap) and not extracted.array.flags.writeable
    for row in (0, 11, 23):
        expected = filterbank.log_mel(audio.load(train.paths[row]))
        np.testing.assert_array_equal(extracted.array[row], expected.astype(np.float32))


def test_the_json_names_the_clips_and_the_choices(sources, tmp_path):
    features.extract(sources[1], tmp_path / "test.npy", RECIPE, jobs=1)
    note = json.loads((tmp_path / "test.json").read_text())
    assert note["ids"] == list(range(8)) and note["shape"] == [8, 299, 40]
    assert note["made_by"] == {"recipe": RECIPE.part("features"), "clips": sources[1].fingerprint, "weights": None}


def test_what_is_complete_is_skipped(sources, tmp_path):
    first = features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    before = (tmp_path / "train.npy").stat().st_mtime_ns
    start = time.perf_counter()
    again = features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    assert time.perf_counter() - start < 1
    assert (tmp_path / "train.npy").stat().st_mtime_ns == before and again.fingerprint == first.fingerprint


def die_once_in_the_third_block(monkeypatch):
    """Have the third block that is computed from now on end in an interrupt; gives the list of all blocks computed."""
    compute, calls = features._features, []

    def block(clips, recipe):
        calls.append(clips)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(clips, recipe)

    monkeypatch.setattr(features, "_features", block)
    return calls


def test_it_goes_on_with_the_block_that_was_lost(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 5)
    whole = features.extract(sources[0], tmp_path / "whole.npy", RECIPE, jobs=1)
    calls = die_once_in_the_third_block(monkeypatch)
    with pytest.raises(Stopped):
        features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    assert not (tmp_path / "train.npy").exists()
    with pytest.raises(KitError, match="no complete features"):
        features.load(tmp_path / "train.npy")
    features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    assert len(calls) == 3 + 3  # blocks three, four and five, none of the first two
    assert (tmp_path / "train.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.glob("*.partial.npy")) + list(tmp_path.glob("*.progress.json"))
    assert np.array_equal(features.load(tmp_path / "train.npy").array, whole.array)


def test_features_of_another_recipe_are_refused_with_the_difference(sources, tmp_path):
    features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    sentence = "train.npy was created differently .n_fft: 1024, now 2048; n_mels: 40, now 64"
    with pytest.raises(KitError, match=sentence):
        features.extract(sources[0], tmp_path / "train.npy", RECIPE.with_values(n_mels=64, n_fft=2048), jobs=1)


def test_features_of_other_clips_are_refused(copied_demo, tmp_path):
    def extract(vocals):
        train, _ = separate(competition.find(copied_demo), tmp_path / vocals, RECIPE, jobs=1)
        return features.extract(train, tmp_path / "train.npy", RECIPE, jobs=1)

    extract("before")
    clips = copied_demo / "train_mp3s"
    shutil.copy(clips / "3.mp3", clips / "4.mp3")
    with pytest.raises(KitError, match=r"train.npy was created differently \(different clips\)"):
        extract("after")
    with pytest.raises(KitError, match=r"before was created differently \(different clips\)"):
        extract("before")


def test_rows_of_another_recipe_are_not_gone_on_with(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 5)
    other = RECIPE.with_values(preemphasis=0.5)
    expected = features.extract(sources[0], tmp_path / "expected.npy", other, jobs=1).array

    die_once_in_the_third_block(monkeypatch)
    with pytest.raises(Stopped):
        features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    (tmp_path / "train.json").unlink()  # "delete its features to start anew", but only half done
    array = features.extract(sources[0], tmp_path / "train.npy", other, jobs=1).array
    np.testing.assert_array_equal(array, expected)


def test_a_full_disk_keeps_what_was_computed(sources, small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 5)
    whole = features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    small_disk.resize(700_000)  # fourteen of the 24 clips
    with pytest.raises(KitError, match="train.partial.npy could not be written: No space left on device"):
        features.extract(sources[0], small_disk.folder / "train.npy", RECIPE, jobs=1)
    assert not (small_disk.folder / "train.npy").exists()
    assert json.loads((small_disk.folder / "train.progress.json").read_text())["rows"] == 10
    small_disk.resize(10_000_000)
    again = features.extract(sources[0], small_disk.folder / "train.npy", RECIPE, jobs=1)
    np.testing.assert_array_equal(again.array, whole.array)


def test_an_array_that_nobody_knows_is_refused(sources, tmp_path):
    features.extract(sources[0], tmp_path / "train.npy", RECIPE, jobs=1)
    (tmp_path / "train.json").unlink()
    with pytest.raises(KitError, match="train.npy has no train.json, so how it was made is unknown"):
        features.extract(sources[0], tmp_path / "train.npy", RECIPE.with_values(preemphasis=0.5), jobs=1)


def test_a_torso_is_refused(sources, tmp_path):
    path = tmp_path / "train.npy"
    features.extract(sources[0], path, RECIPE, jobs=1)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(KitError, match="train.npy cannot be read"):
        features.load(path)


def test_published_files_go_out_and_come_in(sources, tmp_path):
    extracted = features.extract(sources[1], tmp_path / "test.npy", RECIPE, jobs=1)
    published.export_features(extracted, tmp_path / "npz")
    assert sorted(path.name for path in (tmp_path / "npz").iterdir()) == [f"{i}feature.npz" for i in range(8)]
    with np.load(tmp_path / "npz" / "5feature.npz") as archive:
        assert archive.files == ["arr_0"]
        np.testing.assert_array_equal(archive["arr_0"], extracted.array[5])
    imported = published.import_features(tmp_path / "npz", sources[1], tmp_path / "again" / "test.npy", RECIPE)
    np.testing.assert_array_equal(imported.array, extracted.array)
    # the next stage takes them for the features of these clips, but a member knows that they were not made here
    taken = features.extract(sources[1], tmp_path / "again" / "test.npy", RECIPE)
    assert taken.fingerprint == imported.fingerprint != extracted.fingerprint
    assert json.loads((tmp_path / "again" / "test.json").read_text())["source"] == "imported from npz"


def test_wrong_published_files_are_refused(sources, tmp_path):
    folder = tmp_path / "npz"
    folder.mkdir()
    with pytest.raises(KitError, match="lacks 0feature.npz, .* and 3 more"):
        published.import_features(folder, sources[1], tmp_path / "test.npy", RECIPE)
    for i in range(8):
        np.savez(folder / f"{i}feature.npz", np.zeros((299, 40)))
    np.savez(folder / "6feature.npz", np.zeros((298, 40)))
    with pytest.raises(KitError, match=r"6feature.npz contains an array of shape \(298, 40\). Expected \(299, 40\)"):
        published.import_features(folder, sources[1], tmp_path / "test.npy", RECIPE)
    assert not (tmp_path / "test.npy").exists()


# --- damaged clips ---


def test_all_bad_clips_are_named_before_any_work(damaged, tmp_path):
    with pytest.raises(KitError, match=r"(?s)2 of 32 clips are bad:.*3\.mp3 is.*2\.mp3 decodes to .*--on-bad skip"):
        separate(damaged, tmp_path / "vocals", RECIPE, jobs=1)


def test_clips_that_were_mended_are_not_taken_for_other_clips(damaged, small_demo, tmp_path):
    with pytest.raises(KitError, match="Replace them"):
        separate(damaged, tmp_path / "vocals", RECIPE, jobs=1)
    for split, name in (("train_mp3s", "3.mp3"), ("test_mp3s", "2.mp3")):
        shutil.copy(small_demo / split / name, damaged.root / split / name)
    train, test = separate(competition.find(damaged.root), tmp_path / "vocals", RECIPE, jobs=1)
    assert (len(train.paths), len(test.paths)) == (24, 8)


def test_skipping_leaves_out_train_clips_and_salvages_test_clips(damaged, tmp_path):
    for _ in range(2):  # the second time from the note that the first one left
        train, test = separate(damaged, tmp_path / "vocals", RECIPE, on_bad="skip", jobs=1)
        assert 3 not in train.paths and len(train.paths) == 23 and list(train.left_out) == [3]
        assert len(test.paths) == 8 and list(test.faults) == [2]
    extracted = features.extract(test, tmp_path / "test.npy", RECIPE, jobs=1)
    assert np.isfinite(extracted.array).all() and extracted.array[2].std() > 1
    assert features.extract(train, tmp_path / "train.npy", RECIPE, jobs=1).ids.tolist() == [0, 1, 2, *range(4, 24)]


def test_a_word_that_is_no_answer_is_refused(small_competition, tmp_path):
    with pytest.raises(KitError, match="on_bad='ignore' is unknown. Choose fail or skip"):
        separate(small_competition, tmp_path, RECIPE, on_bad="ignore")


def test_features_on_the_disk_are_opened_there_and_not_sent(tmp_path, small_data):
    np.save(tmp_path / "train.npy", np.zeros((3, 40, 40), np.float32))
    write_record(tmp_path / "train.json", {}, ids=[0, 1, 2], shape=[3, 40, 40], source="computed")
    features = load(tmp_path / "train.npy")
    sent = pickle.dumps(features)
    assert len(sent) < 1000
    arrived = pickle.loads(sent)
    assert arrived.fingerprint == features.fingerprint and np.array_equal(arrived.array, features.array)
    arrived = pickle.loads(pickle.dumps(small_data.train))
    assert isinstance(arrived, Features) and np.array_equal(arrived.array, small_data.train.array)
