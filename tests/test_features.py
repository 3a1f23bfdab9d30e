"""Features of all clips: what the array holds, how an interrupted extraction continues, what is refused."""

import json
import pickle
import shutil

import numpy as np
import pytest
import soundfile

from snippetkit import audio, filterbank
from snippetkit.audio import decoding
from snippetkit.data import competition
from snippetkit.features import extraction as features
from snippetkit.features import published
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.vocals.separation import separate

RECIPE = Recipe.published().with_values(separator="none")


def extract(sources, path, recipe=RECIPE, *, jobs=1):
    return features.extract(sources, path, recipe, jobs=jobs)


@pytest.fixture
def clips(small_competition, tmp_path):
    """The train clips of the demo."""
    return separate(small_competition, tmp_path / "vocals", RECIPE, jobs=1)[0]


def test_array_and_record_describe_every_clip_in_order(clips, tmp_path):
    array = extract(clips, tmp_path / "train.npy", jobs=2).array
    assert isinstance(array, np.memmap) and not array.flags.writeable and array.dtype == np.float32
    expected = [filterbank.log_mel(audio.load(path)) for path in clips.paths.values()]
    np.testing.assert_array_equal(array, np.array(expected, np.float32))
    record = json.loads((tmp_path / "train.json").read_text())
    assert record["ids"] == list(range(24)) and record["shape"] == [24, 299, 40]
    assert record["made_by"] == {"recipe": RECIPE.part("features"), "clips": clips.fingerprint, "weights": None}


def test_complete_features_are_not_computed_again(clips, tmp_path, monkeypatch):
    first = extract(clips, tmp_path / "train.npy")
    monkeypatch.setattr(features, "_features", pytest.fail)
    assert extract(clips, tmp_path / "train.npy").fingerprint == first.fingerprint


@pytest.fixture
def interrupted(clips, tmp_path, monkeypatch):
    """The path of an array whose third block of five clips was interrupted, and a list that counts the blocks."""
    compute, blocks = features._features, []

    def compute_or_interrupt(block, recipe):
        blocks.append(block)
        if len(blocks) == 3:
            raise KeyboardInterrupt
        return compute(block, recipe)

    monkeypatch.setattr(features, "BLOCK", 5)
    monkeypatch.setattr(features, "_features", compute_or_interrupt)
    with pytest.raises(Stopped):
        extract(clips, tmp_path / "train.npy")
    return tmp_path / "train.npy", blocks


def test_interrupted_extraction_continues_with_the_lost_block(clips, interrupted, tmp_path):
    path, blocks = interrupted
    assert not path.exists()
    with pytest.raises(KitError, match="no complete features"):
        features.load(path)
    extract(clips, path)
    assert len(blocks) == 3 + 3     # blocks three, four and five, not the first two
    extract(clips, tmp_path / "whole.npy")
    assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.glob("*.partial.npy")) + list(tmp_path.glob("*.progress.json"))


def test_rows_of_another_recipe_are_not_continued(clips, interrupted, tmp_path):
    path, _ = interrupted
    path.with_suffix(".json").unlink()      # the user deletes some files of the features, but not all
    other = RECIPE.with_values(preemphasis=0.5)
    expected = extract(clips, tmp_path / "whole.npy", other).array
    np.testing.assert_array_equal(extract(clips, path, other).array, expected)


@pytest.mark.parametrize("damage, changes, message", [
    (lambda path: None, {"n_mels": 64, "n_fft": 2048},
     "train.npy was created differently .n_fft: 1024, now 2048; n_mels: 40, now 64"),
    (lambda path: path.with_suffix(".json").unlink(), {}, "no train.json, so how it was made is unknown"),
    (lambda path: path.write_bytes(path.read_bytes()[:5000]), {}, "train.npy cannot be read"),
])
def test_array_of_another_recipe_or_unknown_or_cut_short_is_refused(clips, tmp_path, damage, changes, message):
    extract(clips, tmp_path / "train.npy")
    damage(tmp_path / "train.npy")
    with pytest.raises(KitError, match=message):
        extract(clips, tmp_path / "train.npy", RECIPE.with_values(**changes))


def test_features_of_other_clips_are_refused(copied_demo, tmp_path):
    def extract_from(vocals):
        clips, _ = separate(competition.find(copied_demo), tmp_path / vocals, RECIPE, jobs=1)
        extract(clips, tmp_path / "train.npy")

    extract_from("before")
    shutil.copy(copied_demo / "train_mp3s" / "3.mp3", copied_demo / "train_mp3s" / "4.mp3")
    with pytest.raises(KitError, match=r"train.npy was created differently \(different clips\)"):
        extract_from("after")
    with pytest.raises(KitError, match=r"before was created differently \(different clips\)"):
        extract_from("before")


def test_full_disk_keeps_the_computed_rows(clips, small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 5)
    path = small_disk.folder / "train.npy"
    small_disk.resize(700_000)  # fourteen of the 24 clips
    with pytest.raises(KitError, match="train.partial.npy could not be written: No space left on device"):
        extract(clips, path)
    assert not path.exists() and json.loads(path.with_suffix(".progress.json").read_text())["rows"] == 10
    small_disk.resize(10_000_000)
    np.testing.assert_array_equal(extract(clips, path).array, extract(clips, tmp_path / "train.npy").array)


def test_published_files_are_exported_and_imported(clips, tmp_path):
    extracted = extract(clips, tmp_path / "train.npy")
    published.export_features(extracted, tmp_path / "npz")
    assert {path.name for path in (tmp_path / "npz").iterdir()} == {f"{i}feature.npz" for i in range(24)}
    with np.load(tmp_path / "npz" / "5feature.npz") as archive:
        assert archive.files == ["arr_0"]
        np.testing.assert_array_equal(archive["arr_0"], extracted.array[5])
    imported = published.import_features(tmp_path / "npz", clips, tmp_path / "again" / "train.npy", RECIPE)
    np.testing.assert_array_equal(imported.array, extracted.array)
    # the next stage accepts them as the features of these clips, but a member knows that they were imported
    accepted = extract(clips, tmp_path / "again" / "train.npy")
    assert accepted.fingerprint == imported.fingerprint != extracted.fingerprint
    assert json.loads((tmp_path / "again" / "train.json").read_text())["source"] == "imported from npz"


def test_wrong_published_files_are_refused(clips, tmp_path):
    with pytest.raises(KitError, match="lacks 0feature.npz, .* and 19 more"):
        published.import_features(tmp_path, clips, tmp_path / "train.npy", RECIPE)
    for i in range(24):
        np.savez(tmp_path / f"{i}feature.npz", np.zeros((298 if i == 6 else 299, 40)))
    with pytest.raises(KitError, match=r"6feature.npz contains an array of shape \(298, 40\). Expected \(299, 40\)"):
        published.import_features(tmp_path, clips, tmp_path / "train.npy", RECIPE)
    assert not (tmp_path / "train.npy").exists()


# --- damaged clips ---


def test_bad_clips_are_named_and_may_then_be_replaced(damaged, small_demo, tmp_path):
    message = r"(?s)2 of 32 clips are bad:.*3\.mp3 is.*2\.mp3 decodes to .*Replace them.*--on-bad skip"
    with pytest.raises(KitError, match=message):
        separate(damaged, tmp_path / "vocals", RECIPE, jobs=1)
    shutil.copytree(small_demo, damaged.root, dirs_exist_ok=True)
    train, test = separate(competition.find(damaged.root), tmp_path / "vocals", RECIPE, jobs=1)
    assert (len(train.paths), len(test.paths)) == (24, 8)


@pytest.mark.parametrize("target", ["nowhere.mp3", "{}", "."], ids=["dangling", "circular", "folder"])
def test_links_that_cannot_be_opened_are_bad_clips_like_others(damaged, tmp_path, target):
    for path in (damaged.train[7], damaged.test[4]):
        path.unlink()
        path.symlink_to(target.format(path.name))
    with pytest.raises(KitError, match=r"(?s)4 of 32 clips are bad:.*/3\.mp3.*/7\.mp3 cannot.*/2\.mp3.*/4\.mp3 cannot"):
        separate(damaged, tmp_path / "vocals", RECIPE, jobs=1)
    for _ in range(2):  # the second time from the record
        train, test = separate(damaged, tmp_path / "vocals", RECIPE, on_bad="skip", jobs=1)
        assert list(train.left_out) == [3, 7] and list(test.faults) == [2, 4]
    assert np.isfinite(extract(test, tmp_path / "test.npy").array).all()


def test_skipping_leaves_out_train_clips_and_salvages_test_clips(damaged, tmp_path):
    for _ in range(2):  # the second time from the record that the first one left
        train, test = separate(damaged, tmp_path / "vocals", RECIPE, on_bad="skip", jobs=1)
        assert 3 not in train.paths and len(train.paths) == 23 and list(train.left_out) == [3]
        assert len(test.paths) == 8 and list(test.faults) == [2]
    salvaged = extract(test, tmp_path / "test.npy").array
    assert np.isfinite(salvaged).all() and salvaged[2].std() > 1
    assert extract(train, tmp_path / "train.npy").ids.tolist() == [0, 1, 2, *range(4, 24)]


def test_clips_of_almost_three_seconds_are_used_where_that_is_wanted(copied_demo, tmp_path, capsys):
    clips = copied_demo / "train_mp3s"
    for clip in clips.iterdir():        # as encoders leave clips that do not say where the sound begins
        clip.write_bytes(b"".join(list(decoding._frames(clip.read_bytes()))[1:]))
    signal, rate = soundfile.read(copied_demo / "test_mp3s" / "2.mp3")
    soundfile.write(copied_demo / "test_mp3s" / "2.mp3", signal[:-1000], rate)
    found, fit = competition.find(copied_demo), RECIPE.with_values(length="fit")
    message = r"(?s)25 of 32 clips are bad.*--set length=fit for those that are at most 0.1 s too long "
    with pytest.raises(KitError, match=message):
        separate(found, tmp_path / "vocals", RECIPE, jobs=1)
    for _ in range(2):      # the second time from the record
        capsys.readouterr()
        train, test = separate(found, tmp_path / "vocals", fit, jobs=1)
        said = "length=fit: of 32 clips, 24 are cut and 1 padded with silence to 3 s, by 0.030 s at most"
        assert capsys.readouterr().err.count(said) == 1 and len(train.paths) == 24 and not test.faults
    array = extract(train, tmp_path / "train.npy", fit).array
    np.testing.assert_allclose(array[5], filterbank.log_mel(audio.load(train.clips[5], length="fit")), atol=1e-3)
    with pytest.raises(KitError, match="train.npy was created differently .length: 'fit', now 'strict'"):
        extract(train, tmp_path / "train.npy")
    with pytest.raises(KitError, match="vocals was created differently .length: 'fit', now 'strict'"):
        separate(found, tmp_path / "vocals", RECIPE, jobs=1)


def test_unknown_choice_for_bad_clips_is_refused(small_competition, tmp_path):
    with pytest.raises(KitError, match="on_bad='ignore' is unknown. Choose fail or skip"):
        separate(small_competition, tmp_path, RECIPE, on_bad="ignore")


def test_pickled_features_hold_only_the_path_of_a_file(clips, tmp_path, small_data):
    on_disk = extract(clips, tmp_path / "train.npy")
    assert len(pickle.dumps(on_disk)) < 1000
    for original in (on_disk, small_data.train):
        copy = pickle.loads(pickle.dumps(original))
        assert copy.fingerprint == original.fingerprint and np.array_equal(copy.array, original.array)
