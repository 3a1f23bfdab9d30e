"""Recordings of genres: what is read, what is left out, folds of artists, and GTZAN's table."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from snippetkit.lab import classical
from snippetkit.lab.genres import bands, gtzan, recordings, splits
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError

RATE = 22_050
RECIPE = Recipe.published().with_values(split="songs", folds=4)


def tone(hz, seconds):
    return 0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genres")
    for genre in ("low", "high", "empty"):
        (folder / genre).mkdir()
    for genre, hz in (("low", 200), ("high", 2000)):
        for name, seconds in (("Ann - one", 1.2), ("Ann - two", 1), ("Ben - one", 1), ("unknown", 1), ("other", 1)):
            soundfile.write(folder / genre / f"{genre} {name}.wav", tone(hz, seconds), RATE)
    soundfile.write(folder / "high" / "short.wav", tone(300, 0.5), RATE)
    (folder / "low" / "notes.txt").write_text("not a recording")
    soundfile.write(folder / "empty" / "silent.wav", np.zeros(RATE), RATE)
    (folder / "empty" / "broken.mp3").write_bytes(b"no music" * 99)
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    return recordings.read_recordings(folder, seconds=1.0, jobs=1)


def test_damaged_recordings_are_named_and_a_genre_without_usable_ones_is_left_out(folder, clips):
    assert clips.names == ["high", "low"] and clips.labels.tolist() == [0] * 5 + [1] * 5
    assert {path.as_posix() for path in clips.faults} == {"high/short.wav", "empty/silent.wav", "empty/broken.mp3"}
    assert clips.faults[Path("high", "short.wav")] == "short.wav is 0.5 s long instead of 1 s."
    assert not {path.relative_to(folder) for path in clips.paths} & set(clips.faults)


def test_an_artist_is_a_group_and_a_recording_without_one_is_its_own(clips):
    group = {path.stem: number for path, number in zip(clips.paths, clips.groups)}
    assert group["low Ann - one"] == group["low Ann - two"] != group["low Ben - one"]
    assert group["low Ann - one"] != group["high Ann - one"]        # "low Ann" and "high Ann"
    assert group["low unknown"] != group["low other"] and len(set(clips.groups)) == 8


def test_fewer_than_two_genres_are_refused(folder):
    with pytest.raises(KitError, match="of 0 genres .*5 are in no subfolder.* one subfolder per genre"):
        recordings.read_recordings(folder / "low", seconds=1.0, jobs=1)
    with pytest.raises(KitError, match=r"at least 30 s of 0 genres \(13 others are damaged or shorter"):
        recordings.read_recordings(folder, seconds=30.0, jobs=1)


def test_pictures_are_grey_and_of_the_studys_size(clips):
    pictures = recordings.grey_pictures(clips.paths, recordings.genre_recipe(seconds=1.0), jobs=1)
    assert pictures.shape == (10, 44, 128) and pictures.dtype == np.uint8 and np.all(pictures.max(axis=(1, 2)) == 255)
    brightest = pictures.mean(axis=1).argmax(axis=1)
    assert brightest[clips.labels == 1].max() < 20 < 50 < brightest[clips.labels == 0].min()
    assert 1 + recordings.genre_recipe().samples // recordings.genre_recipe().hop == 1280


def test_synthetic_genres_differ_in_their_drums():
    """Dance has drums in every recording, a ballad often has none: its level changes less."""
    def onsets(genre):
        pieces = [bands.piece(genre, [i], np.random.default_rng([i, 1]), seconds=3.0) for i in range(5)]
        assert np.shape(pieces) == (5, 3 * RATE) and np.abs(pieces).max() < 1
        levels = np.abs(pieces).reshape(5, 150, 441).mean(axis=2)
        return (np.diff(levels).clip(0).mean(axis=1) / levels.mean(axis=1)).mean()

    assert onsets("dance") > onsets("ballad")


# --- folds of artists ---


@pytest.fixture(scope="module")
def leaking():
    """Numbers that depend on the artist and not on the genre: 40 artists of two genres, five clips each."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    numbers = rng.normal(size=(40, 12))[groups] + rng.normal(0, 0.05, (200, 12))
    return numbers, groups % 2, groups


def test_folds_keep_artists_apart_and_data_of_other_numbers_have_another_fingerprint(leaking):
    numbers, labels, groups = leaking
    data, other = (splits.make_training_data(values[:, None], labels, groups, classes=2, count=4)
                   for values in (numbers, numbers[::-1]))
    assert len(set(zip(groups, data.songs.fold))) == 40 and set(data.songs.fold) == {0, 1, 2, 3}
    assert data.fingerprint(RECIPE) != other.fingerprint(RECIPE)


def test_random_folds_reward_methods_that_recognise_artists(leaking, tmp_path):
    row = splits.compare_splits(tmp_path, classical.clip_methods("numbers")[:1], *leaking, recipe=RECIPE).iloc[0]
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


@pytest.mark.parametrize("artist", ["Ann", "311"])
def test_a_table_is_read_with_its_artists(table, artist):
    tracks = table / "tracks.csv"
    tracks.write_text(tracks.read_text().replace("Ann", artist))
    numbers, labels, artists, names = gtzan.read_table(table)
    assert numbers.tolist() == [[100, 0.1], [120, 0.2], [121, 0.3], [122, 0.4]]
    assert labels.tolist() == [0, 1, 1, 1] and names == ["blues", "rock"]
    assert artists[1] == artists[2] and len(set(artists)) == 3      # the first and the last are unknown


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(KitError, match=f"{NUMBERS} cannot be read: No such file"):
        gtzan.read_table(tmp_path)


@pytest.mark.parametrize("name, content, message", [
    ("tracks.csv", "file,singer\nrock.1.wav,Ann\n", "tracks.csv has no column artist"),
    ("tracks.csv", "file,artist\nrock.1.mp3,Ann\n", f"names only 0% of the recordings of {NUMBERS}"),
    (NUMBERS, "filename,tempo,label\nrock.1.wav,120,\n", "line 2: label is missing"),
    (NUMBERS, "filename,tempo,label\nrock.1.wav,120,a\nrock.1.wav,120,b\n", "line 2: filename appears twice"),
    (NUMBERS, "filename,tempo,label\nrock.1.wav,fast,rock\n", "line 2: tempo is not a number"),
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
    for shares, expected in ((95, [0.95]), ("90,95", [0.9, 0.95]), ([90, 95], [0.9, 0.95]), (95.5, [0.955])):
        assert recordings.resolve_parameters(True, shares=shares).shares == expected


def test_defaults_depend_on_the_demo():
    demo, real = (recordings.resolve_parameters(is_demo) for is_demo in (True, False))
    assert vars(recordings.resolve_parameters(True, epochs=2, cv=0)) == {**vars(demo), "epochs": 2}
    assert real.shares == [0.9, 0.95, 0.99] and (real.seconds, real.weights) == (29.7, "")
    assert demo.shares == [0.95] and (demo.seconds, demo.weights) == (6.0, "random")
