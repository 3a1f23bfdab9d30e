"""Recordings of genres: what is read and what is left out, artists kept apart, tables that somebody computed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from snippetkit.lab import classical
from snippetkit.lab.board import Board, both_ways
from snippetkit.lab.genres import gtzan
from snippetkit.lab.genres import recordings as genres
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
        for name in ("Ann - one", "Ann - two", "Ben - one", "nobody", "nor her"):
            seconds = 1.2 if name == "Ann - one" else 1
            soundfile.write(folder / genre / f"{genre} {name}.wav", tone(hz, seconds), RATE)
    soundfile.write(folder / "high" / "short.wav", tone(300, 0.5), RATE)
    soundfile.write(folder / "high" / "silent.wav", np.zeros(RATE), RATE)
    (folder / "low" / "broken.mp3").write_bytes(b"no music" * 99)
    (folder / "low" / "notes.txt").write_text("not a recording")
    return folder


def test_what_is_good_is_read_and_what_is_damaged_is_named(folder):
    clips = genres.read(folder, seconds=1.0, jobs=1)
    assert clips.names == ["high", "low"] and clips.labels.tolist() == [0] * 5 + [1] * 5
    assert {path.name for path in clips.faults} == {"short.wav", "silent.wav", "broken.mp3"}
    assert clips.faults[Path("high", "short.wav")] == "short.wav holds 0.5 s of sound instead of 1 s."
    assert not {path.relative_to(folder) for path in clips.paths} & set(clips.faults)


def test_a_genre_of_which_nothing_can_be_used_is_none(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "aaa").mkdir()
    (tmp_path / "aaa" / "broken.mp3").write_bytes(b"no music" * 99)
    clips = genres.read(tmp_path, seconds=1.0, jobs=1)
    assert clips.names == ["high", "low"] and set(clips.labels) == {0, 1} and Path("aaa", "broken.mp3") in clips.faults


def test_an_artist_is_a_group_and_a_recording_without_one_is_its_own(folder):
    clips = genres.read(folder, seconds=1.0, jobs=1)
    group = {path.stem: number for path, number in zip(clips.paths, clips.groups)}
    assert group["low Ann - one"] == group["low Ann - two"] != group["low Ben - one"]
    assert group["low Ann - one"] != group["high Ann - one"]        # another name
    assert group["low nobody"] != group["low nor her"] and len(set(clips.groups)) == 8


def test_a_folder_without_two_genres_is_a_sentence(folder):
    with pytest.raises(KitError, match="of 0 genres .*6 lie in no folder of a genre.* a folder for each genre"):
        genres.read(folder / "low", seconds=1.0, jobs=1)
    with pytest.raises(KitError, match=r"30 s and more of 0 genres \(13 others are damaged or shorter"):
        genres.read(folder, seconds=30.0, jobs=1)


def test_of_a_longer_recording_the_beginning_is_heard(folder):
    path = folder / "low" / "low Ann - one.wav"
    whole, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(genres.load(path, sample_rate=RATE, seconds=0.7), whole[:15_435])


def test_pictures_are_grey_and_of_the_studys_size(folder):
    paths = [folder / "low" / "low Ann - one.wav", folder / "high" / "high Ann - one.wav"]
    found = genres.pictures(paths, genres.recipe(seconds=1.0), jobs=1)
    assert found.shape == (2, 44, 128) and found.dtype == np.uint8 and found.max(axis=(1, 2)).tolist() == [255, 255]
    brightest = found.mean(axis=1).argmax(axis=1)
    assert brightest[0] < 20 < 50 < brightest[1]
    assert 1 + genres.recipe().samples // genres.recipe().hop == 1280


@pytest.fixture(scope="module")
def leaking():
    """Numbers that tell an artist, and nothing of a genre: 40 artists of two genres, five clips each."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    numbers = rng.normal(size=(40, 12))[groups] + rng.normal(0, 0.05, (200, 12))
    return numbers, groups % 2, groups


def test_folds_keep_artists_apart(leaking):
    numbers, labels, groups = leaking
    data = genres.training_data(numbers[:, None], labels, groups, classes=2, count=4)
    recipe = Recipe.published().with_values(split="songs", folds=4)
    held_out = []
    for member in range(4):
        train, valid = folds.split(data, recipe, member)
        assert not set(groups[train]) & set(groups[valid])
        held_out += valid.tolist()
    assert sorted(held_out) == list(range(200))
    other = genres.training_data(numbers[::-1, None], labels, groups, classes=2, count=4)
    assert data.fingerprint(recipe) != other.fingerprint(recipe)


def test_random_folds_reward_who_knows_artists(leaking, tmp_path):
    recipe = Recipe.published().with_values(split="songs", folds=4)
    table = both_ways(tmp_path, classical.on_clips("numbers")[:1], *leaking, recipe=recipe)
    row = table.iloc[0]
    assert row["random"] > 0.95 and row["apart"] < 0.75 and row["gap"] == pytest.approx(row["random"] - row["apart"])
    assert 0.2 < row["low"] < row["gap"] < row["high"]


def test_what_was_judged_is_read_again_and_what_was_changed_is_not(leaking, tmp_path):
    numbers, labels, groups = leaking
    recipe = Recipe.published().with_values(split="songs", folds=4)
    board = Board(tmp_path, genres.training_data(numbers[:, None], labels, groups, classes=2, count=4), recipe)
    method, other = classical.on_clips("numbers")[:2]
    first = board.rows([method], numbers)
    assert board.rows([method], numbers) == first and len(list(tmp_path.glob("*.npz"))) == 1
    board.judge([other], numbers)
    board.judge([method], numbers[:, ::-1])
    board.judge([method], numbers, members=1)
    assert len(list(tmp_path.glob("*.npz"))) == 4
    (judged,) = board.judge([method], numbers, numbers[:7])     # now about test clips, too
    assert judged.result.test_logits.shape == (4, 7, 2) and len(list(tmp_path.glob("*.npz"))) == 5
    assert (judged.result.valid_logits == board.judge([method], numbers)[0].result.valid_logits).all()


@pytest.mark.parametrize("method", classical.dense_networks("numbers")[1:2], ids=lambda method: method.name)
def test_parameters_of_a_dense_network_are_its_weights(method, leaking):
    numbers, labels, _ = leaking
    assert method.parameters(method.make(0).fit(numbers, labels)) == 12 * 64 + 64 + 64 + 1


def test_every_method_on_clips_says_how_many_numbers_it_learned(leaking):
    numbers, labels, _ = leaking
    counts = {each.name: each.parameters(each.make(0).fit(numbers, labels)) for each in classical.on_clips("numbers")}
    assert all(count > 10 for count in counts.values()) and counts["k-NN, 15"] == 200 * 12


@pytest.fixture
def table(tmp_path):
    (tmp_path / "gtzan_features_30_sec.csv").write_text(
        "filename,length,tempo,rms,label\nblues.0.wav,9,100,0.1,blues\nrock.0.wav,9,120,0.2,rock\n"
        "rock.1.wav,9,121,0.3,rock\nrock.2.wav,9,122,0.4,rock\n"
    )
    (tmp_path / "tracks.csv").write_text("file,artist\nrock.1.wav,Ann\nrock.0.wav,Ann\nblues.0.wav, \n")
    return tmp_path


def test_a_table_is_read_with_its_artists(table):
    numbers, labels, artists, names = gtzan.read_table(table)
    assert numbers.tolist() == [[100, 0.1], [120, 0.2], [121, 0.3], [122, 0.4]]
    assert labels.tolist() == [0, 1, 1, 1] and names == ["blues", "rock"]
    assert artists[1] == artists[2] and len(set(artists)) == 3      # of the first and the last none is known


def test_artists_may_be_called_by_numbers(table):
    (table / "tracks.csv").write_text("file,artist\nrock.1.wav,311\nrock.0.wav,311\nblues.0.wav,702\n")
    _, _, artists, _ = gtzan.read_table(table)
    assert artists[1] == artists[2] != artists[0]


def test_a_table_that_is_not_there_or_lacks_a_column_is_a_sentence(table):
    (table / "tracks.csv").write_text("file,singer\nrock.1.wav,Ann\n")
    with pytest.raises(KitError, match="tracks.csv has no column artist"):
        gtzan.read_table(table)
    (table / "tracks.csv").unlink()
    with pytest.raises(KitError, match="tracks.csv cannot be read: No such file"):
        gtzan.read_table(table)


@pytest.mark.parametrize("name, content, sentence", [
    ("tracks.csv", "file,artist\nrock.1.mp3,Ann\n", "names only 0% of the recordings of gtzan_features_30_sec.csv"),
    ("tracks.csv", "", "tracks.csv is not a readable CSV file .No columns"),
    ("gtzan_features_30_sec.csv", "filename,length,tempo,label\nrock.1.wav,9,120,\n", "line 2: label is missing"),
    ("gtzan_features_30_sec.csv", "filename,length,tempo,label\nrock.1.wav,9,120,a\nrock.1.wav,9,120,b\n",
     "line 2: filename is missing or stands there twice"),
    ("gtzan_features_30_sec.csv", "filename,length,tempo,label\nrock.1.wav,9,fast,rock\n", "line 2: tempo is no num"),
    ("gtzan_features_30_sec.csv", "filename,label\na,b\na,b,c,d\n", "is not a readable CSV file"),
])
def test_a_damaged_table_is_a_sentence(table, name, content, sentence):
    (table / name).write_text(content)
    with pytest.raises(KitError, match=sentence):
        gtzan.read_table(table)


def test_too_few_artists_for_the_folds_are_a_sentence(leaking):
    numbers, labels, groups = leaking
    with pytest.raises(KitError, match="200 recordings of 2 artists are too few for 3 folds"):
        genres.training_data(numbers[:, None], labels, groups % 2, classes=2, count=3)


@pytest.mark.parametrize("given, sentence", [
    ({"seconds": "long"}, "seconds='long' is no number"),
    ({"folds": 2}, "folds=2 is out of range; give 3 or more"),
    ({"tries": -1}, "tries=-1 is out of range; give 1 or more"),
    ({"filters": 16}, "filters=16 is out of range; give 32"),
    ({"cv": 1}, "cv=1 is out of range; give 2"),
    ({"shares": "ninety"}, "shares='ninety' is no number"),
    ({"shares": 100}, "shares='100' is out of range; give 1 to 99"),
])
def test_a_choice_that_cannot_be_is_a_sentence(given, sentence):
    with pytest.raises(KitError, match=sentence):
        genres.settled(True, **given)


def test_shares_are_read_as_papermill_gives_them():
    for shares, found in ((95, [0.95]), ("90,95", [0.9, 0.95]), (95.5, [0.955])):
        assert genres.settled(True, shares=shares).shares == found


def test_what_is_not_said_fits_the_demo_or_real_recordings():
    assert genres.settled(True, epochs=2).__dict__ == {**genres.settled(True).__dict__, "epochs": 2}
    assert genres.settled(False).shares == [0.9, 0.95, 0.99] and genres.settled(False).seconds == 29.7
    with pytest.raises(KitError, match="there is no choice epoch; there are seconds"):
        genres.settled(True, epoch=2)
