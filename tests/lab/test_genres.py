"""Recordings of genres: what is read, what is left out, folds of artists, and GTZAN's table."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from snippetkit.lab import classical
from snippetkit.lab.genres import bands, gtzan, recordings, splits
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.utils.errors import KitError

RATE = 22_050


def tone(hz, seconds):
    return 0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genres")
    for genre, hz in (("low", 200), ("high", 2000)):
        (folder / genre).mkdir()
        for name in ("Ann - one", "Ann - two", "Ben - one", "unknown", "other"):
            seconds = 1.2 if name == "Ann - one" else 1
            soundfile.write(folder / genre / f"{genre} {name}.wav", tone(hz, seconds), RATE)
    soundfile.write(folder / "high" / "short.wav", tone(300, 0.5), RATE)
    soundfile.write(folder / "high" / "silent.wav", np.zeros(RATE), RATE)
    (folder / "low" / "broken.mp3").write_bytes(b"no music" * 99)
    (folder / "low" / "notes.txt").write_text("not a recording")
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    return recordings.read_recordings(folder, seconds=1.0, jobs=1)


def test_usable_recordings_are_read_and_damaged_ones_are_named(folder, clips):
    assert clips.names == ["high", "low"] and clips.labels.tolist() == [0] * 5 + [1] * 5
    assert {path.name for path in clips.faults} == {"short.wav", "silent.wav", "broken.mp3"}
    assert clips.faults[Path("high", "short.wav")] == "short.wav is 0.5 s long instead of 1 s."
    assert not {path.relative_to(folder) for path in clips.paths} & set(clips.faults)


def test_a_genre_without_usable_recordings_is_left_out(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "aaa").mkdir()
    (tmp_path / "aaa" / "broken.mp3").write_bytes(b"no music" * 99)
    clips = recordings.read_recordings(tmp_path, seconds=1.0, jobs=1)
    assert clips.names == ["high", "low"] and set(clips.labels) == {0, 1} and Path("aaa", "broken.mp3") in clips.faults


def test_an_artist_is_a_group_and_a_recording_without_one_is_its_own(clips):
    group = {path.stem: number for path, number in zip(clips.paths, clips.groups)}
    assert group["low Ann - one"] == group["low Ann - two"] != group["low Ben - one"]
    assert group["low Ann - one"] != group["high Ann - one"]        # "low Ann" and "high Ann"
    assert group["low unknown"] != group["low other"] and len(set(clips.groups)) == 8


def test_fewer_than_two_genres_are_refused(folder):
    with pytest.raises(KitError, match="of 0 genres .*6 are in no subfolder.* one subfolder per genre"):
        recordings.read_recordings(folder / "low", seconds=1.0, jobs=1)
    with pytest.raises(KitError, match=r"at least 30 s of 0 genres \(13 others are damaged or shorter"):
        recordings.read_recordings(folder, seconds=30.0, jobs=1)


def test_a_longer_recording_is_cut(folder):
    path = folder / "low" / "low Ann - one.wav"
    whole, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(recordings.load(path, sample_rate=RATE, seconds=0.7), whole[:15_435])


def test_pictures_are_grey_and_of_the_studys_size(folder):
    paths = [folder / "low" / "low Ann - one.wav", folder / "high" / "high Ann - one.wav"]
    pictures = recordings.grey_pictures(paths, recordings.genre_recipe(seconds=1.0), jobs=1)
    assert pictures.shape == (2, 44, 128) and pictures.dtype == np.uint8
    assert pictures.max(axis=(1, 2)).tolist() == [255, 255]
    brightest = pictures.mean(axis=1).argmax(axis=1)
    assert brightest[0] < 20 < 50 < brightest[1]
    recipe = recordings.genre_recipe()
    assert 1 + recipe.samples // recipe.hop == 1280


def test_synthetic_genres_differ_in_their_drums():
    """Dance has drums in every recording, a ballad often has none: its level changes less."""
    def onsets(genre, artist):
        signal = bands.piece(genre, [artist], np.random.default_rng([artist, 1]), seconds=3.0)
        assert signal.shape == (3 * RATE,) and np.abs(signal).max() < 1
        level = np.abs(signal[: 150 * 441]).reshape(150, 441).mean(axis=1)
        return np.maximum(np.diff(level), 0).mean() / level.mean()

    dance, ballad = ([onsets(genre, artist) for artist in range(5)] for genre in ("dance", "ballad"))
    assert np.mean(dance) > np.mean(ballad)


# --- folds of artists ---


@pytest.fixture(scope="module")
def leaking():
    """Numbers that depend on the artist and not on the genre: 40 artists of two genres, five clips each."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    numbers = rng.normal(size=(40, 12))[groups] + rng.normal(0, 0.05, (200, 12))
    return numbers, groups % 2, groups


def test_folds_keep_artists_apart(leaking):
    numbers, labels, groups = leaking
    data = splits.make_training_data(numbers[:, None], labels, groups, classes=2, count=4)
    recipe = Recipe.published().with_values(split="songs", folds=4)
    held_out = []
    for member in range(4):
        train, valid = folds.split(data, recipe, member)
        assert not set(groups[train]) & set(groups[valid])
        held_out += valid.tolist()
    assert sorted(held_out) == list(range(200))
    other = splits.make_training_data(numbers[::-1, None], labels, groups, classes=2, count=4)
    assert data.fingerprint(recipe) != other.fingerprint(recipe)


def test_random_folds_reward_methods_that_recognise_artists(leaking, tmp_path):
    recipe = Recipe.published().with_values(split="songs", folds=4)
    row = splits.compare_splits(tmp_path, classical.clip_methods("numbers")[:1], *leaking, recipe=recipe).iloc[0]
    assert row["random"] > 0.95 and row["apart"] < 0.75 and row["gap"] == pytest.approx(row["random"] - row["apart"])
    assert 0.2 < row["low"] < row["gap"] < row["high"]


def test_too_few_artists_for_the_folds_are_refused(leaking):
    numbers, labels, groups = leaking
    with pytest.raises(KitError, match="200 recordings of 2 artists are too few for 3 folds"):
        splits.make_training_data(numbers[:, None], labels, groups % 2, classes=2, count=3)


# --- GTZAN's table ---

NUMBERS = "gtzan_features_30_sec.csv"


@pytest.fixture
def table(tmp_path):
    (tmp_path / NUMBERS).write_text(
        "filename,length,tempo,rms,label\nblues.0.wav,9,100,0.1,blues\nrock.0.wav,9,120,0.2,rock\n"
        "rock.1.wav,9,121,0.3,rock\nrock.2.wav,9,122,0.4,rock\n"
    )
    (tmp_path / "tracks.csv").write_text("file,artist\nrock.1.wav,Ann\nrock.0.wav,Ann\nblues.0.wav, \n")
    return tmp_path


def test_a_table_is_read_with_its_artists(table):
    numbers, labels, artists, names = gtzan.read_table(table)
    assert numbers.tolist() == [[100, 0.1], [120, 0.2], [121, 0.3], [122, 0.4]]
    assert labels.tolist() == [0, 1, 1, 1] and names == ["blues", "rock"]
    assert artists[1] == artists[2] and len(set(artists)) == 3      # the first and the last are unknown


def test_artists_may_be_numbers(table):
    (table / "tracks.csv").write_text("file,artist\nrock.1.wav,311\nrock.0.wav,311\nblues.0.wav,702\n")
    _, _, artists, _ = gtzan.read_table(table)
    assert artists[1] == artists[2] != artists[0]


def test_a_missing_table_is_named(table):
    (table / "tracks.csv").unlink()
    with pytest.raises(KitError, match="tracks.csv cannot be read: No such file"):
        gtzan.read_table(table)


@pytest.mark.parametrize("name, content, message", [
    ("tracks.csv", "file,singer\nrock.1.wav,Ann\n", "tracks.csv has no column artist"),
    ("tracks.csv", "file,artist\nrock.1.mp3,Ann\n", f"names only 0% of the recordings of {NUMBERS}"),
    ("tracks.csv", "", "tracks.csv is not a readable CSV file .No columns"),
    (NUMBERS, "filename,length,tempo,label\nrock.1.wav,9,120,\n", "line 2: label is missing"),
    (NUMBERS, "filename,length,tempo,label\nrock.1.wav,9,120,a\nrock.1.wav,9,120,b\n",
     "line 2: filename appears twice"),
    (NUMBERS, "filename,length,tempo,label\nrock.1.wav,9,fast,rock\n", "line 2: tempo is not a number"),
    (NUMBERS, "filename,label\na,b\na,b,c,d\n", "is not a readable CSV file"),
])
def test_a_damaged_table_is_refused(table, name, content, message):
    (table / name).write_text(content)
    with pytest.raises(KitError, match=message):
        gtzan.read_table(table)


# --- parameters of the notebook ---


@pytest.mark.parametrize("given, message", [
    ({"seconds": "long"}, "seconds='long' is not a number"),
    ({"folds": 2}, "folds=2 is out of range. Choose 3 or more"),
    ({"tries": -1}, "tries=-1 is out of range. Choose 1 or more"),
    ({"filters": 16}, "filters=16 is out of range. Choose 32"),
    ({"cv": 1}, "cv=1 is out of range. Choose 2"),
    ({"shares": "ninety"}, "shares='ninety' is not a number"),
    ({"shares": 100}, "shares='100' is out of range. Choose 1 to 99"),
    ({"epoch": 2}, "there is no parameter epoch. Choose from seconds"),
])
def test_a_wrong_parameter_is_refused(given, message):
    with pytest.raises(KitError, match=message):
        recordings.resolve_parameters(True, **given)


def test_shares_are_read_as_papermill_passes_them():
    for shares, expected in ((95, [0.95]), ("90,95", [0.9, 0.95]), (95.5, [0.955])):
        assert recordings.resolve_parameters(True, shares=shares).shares == expected


def test_defaults_depend_on_the_demo():
    demo, real = (recordings.resolve_parameters(is_demo) for is_demo in (True, False))
    assert vars(recordings.resolve_parameters(True, epochs=2, cv=0)) == {**vars(demo), "epochs": 2}
    assert real.shares == [0.9, 0.95, 0.99] and (real.seconds, real.weights) == (29.7, "")
    assert demo.shares == [0.95] and (demo.seconds, demo.weights) == (6.0, "random")
