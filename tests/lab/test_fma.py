"""FMA in the format in which it is published: what is read, what is left out, which wrong files are refused."""

import shutil

import numpy as np
import pytest
from lab.fma_files import COLUMNS, track_path, write_features, write_fma, write_tracks

from snippetkit.lab import classical, handcrafted
from snippetkit.lab.cache import Comparison
from snippetkit.lab.genres import fma, recordings, suggested
from snippetkit.songs import folds
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "fma"
    return folder, *write_fma(folder)


@pytest.fixture
def folder(published, tmp_path):
    """A copy to damage."""
    return shutil.copytree(published[0], tmp_path / "fma")


def read(folder):
    return fma.read_recordings(fma.find(folder), seconds=1.0, jobs=1)


@pytest.fixture(scope="module")
def clips(published):
    return read(published[0])


def test_names_and_order_of_the_518_numbers_are_those_of_features_csv():
    assert handcrafted.feature_names() == COLUMNS
    # as in FMA's file: alphabetical, at every level
    assert len(COLUMNS) == 518 and sorted(COLUMNS) == COLUMNS and COLUMNS[-1] == ("zcr", "std", "01")


def test_genres_artists_and_numbers_are_those_of_the_tables(published, clips):
    folder, tracks, numbers = published
    assert [path.relative_to(folder) for path in clips.paths] == [
        track_path(folder, track).relative_to(folder) for track in sorted(tracks)]
    assert clips.names == ["Ballad", "Dance"] and not clips.faults
    artist, split, _, genre = zip(*(tracks[int(path.stem)] for path in clips.paths))
    assert [clips.names[label] for label in clips.labels] == list(genre)
    assert [recordings.PARTS[part] for part in clips.part] == list(split)
    assert len(set(zip(clips.groups, artist))) == len(set(artist)) == 12
    assert np.allclose(clips.numbers, [numbers[int(path.stem)] for path in clips.paths], atol=1e-6)


def test_nested_folders_as_on_kaggle_are_found(folder):
    for name in ("fma_metadata", "fma_small"):
        (folder / name).rename(folder / "inner")
        (folder / name).mkdir()
        (folder / "inner").rename(folder / name / name)
    assert len(read(folder).paths) == 24


def test_the_smallest_audio_folder_is_used_with_its_own_tracks(folder):
    (folder / "fma_medium").mkdir()
    shutil.copytree(folder / "fma_small" / "000", folder / "fma_medium" / "155")
    (folder / "fma_medium" / "155" / "000002.mp3").rename(folder / "fma_medium" / "155" / "155000.mp3")
    assert fma.find(folder).size == "fma_small" and not read(folder).faults
    (folder / "fma_small").rename(folder / "small")
    clips = read(folder)        # of fma_medium, which lacks most tracks
    assert fma.find(folder).size == "fma_medium" and "Rock" in clips.names
    assert clips.faults.keys() and all("missing" in fault for fault in clips.faults.values())


def test_missing_broken_and_short_tracks_are_left_out_and_named(folder, published):
    _, tracks, numbers = published
    missing, broken, short, nameless = sorted(tracks)[:4]
    track_path(folder, missing).unlink()
    track_path(folder, broken).write_bytes(b"no music" * 99)
    content = track_path(folder, short).read_bytes()
    track_path(folder, short).write_bytes(content[: len(content) // 3])
    incomplete = {**numbers, nameless: np.full(518, np.nan)}
    write_features(folder / "fma_metadata" / "features.csv", incomplete)
    clips = read(folder)
    table = recordings.faults_table(clips)
    assert table["recording"].tolist() == [
        track_path(folder, track).relative_to(folder).as_posix() for track in (missing, broken, short, nameless)]
    words = ("000002.mp3 is missing", "decode", "s long instead of 1 s", "no complete row in features.csv")
    assert all(word in fault for word, fault in zip(words, table["fault"], strict=True))
    assert len(clips.paths) == len(clips.numbers) == len(clips.part) == 20


def test_without_features_csv_there_are_no_numbers(folder):
    (folder / "fma_metadata" / "features.csv").unlink()
    assert read(folder).numbers is None


def test_columns_in_another_order_are_sorted(folder, published):
    numbers = {track: values[::-1] for track, values in published[2].items()}
    write_features(folder / "fma_metadata" / "features.csv", numbers, columns=COLUMNS[::-1])
    assert np.allclose(read(folder).numbers[0], published[2][2], atol=1e-6)


def test_a_folder_of_genres_is_not_fma(tmp_path):
    (tmp_path / "rock" / "000").mkdir(parents=True)
    (tmp_path / "rock" / "000" / "000002.mp3").write_bytes(b"")
    assert fma.find(tmp_path) is None


def test_half_of_fma_is_refused(folder):
    with pytest.raises(KitError, match="fma_small is a folder of FMA without fma_metadata/tracks.csv. Give the folder"):
        fma.find(folder / "fma_small")
    shutil.rmtree(folder / "fma_small")
    with pytest.raises(KitError, match="without recordings such as fma_small/000/000002.mp3. Give the folder that"):
        fma.find(folder)


@pytest.mark.parametrize("change, message", [
    (lambda text: text[:20], "tracks.csv has 1 lines, fewer than FMA's 2 header rows"),
    (lambda text: text.replace("genre_top", "genre"), r"tracks.csv lacks 1 columns, such as \(track, genre_top\)"),
    (lambda text: text.replace("training", "train"), "tracks.csv: the split 'train' of track 1098 is not one of test"),
    (lambda text: text.replace("\n139,", "\n2,"), "tracks.csv has track 2 twice"),
    (lambda text: text.replace("\n139,", "\nten,"), "tracks.csv: 'ten' is not the number of a track"),
    (lambda text: text.replace(",small,", ",tiny,"), "tracks.csv has no tracks of subset small with a top genre"),
    (lambda text: text + '156000,"torn', "tracks.csv is not a readable CSV file"),
])
def test_a_damaged_table_of_tracks_is_refused(folder, change, message):
    path = folder / "fma_metadata" / "tracks.csv"
    path.write_text(change(path.read_text().replace("\r\n", "\n")))
    with pytest.raises(KitError, match=f"{message}.*Unpack fma_metadata.zip again"):
        read(folder)


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace("rmse", "rms"), r"features.csv lacks 7 columns, such as \(rmse, kurtosis, 01\)"),
    (lambda text: text.split("\n", 1)[1], "features.csv lacks 518 columns"),
    (lambda text: text.replace("\n139,", "\n139,loud"), "features.csv is not a readable CSV file"),
    (lambda text: text.replace("\n139,", "\n2,"), "features.csv has track 2 twice"),
])
def test_a_damaged_table_of_features_is_refused(folder, change, message):
    path = folder / "fma_metadata" / "features.csv"
    path.write_text(change(path.read_text().replace("\r\n", "\n")))
    with pytest.raises(KitError, match=f"{message}.*Unpack fma_metadata.zip again"):
        read(folder)


def test_one_genre_is_too_few(folder, published):
    tracks = {track: (*row[:3], "Rock") for track, row in published[1].items()}
    write_tracks(folder / "fma_metadata" / "tracks.csv", tracks)
    with pytest.raises(KitError, match="fma_small has 24 usable recordings of 1 genres. Unpack the audio"):
        read(folder)
    (folder / "fma_metadata" / "features.csv").unlink()
    with pytest.raises(KitError, match=r"of 0 genres \(24 are left out: 000002.mp3 is .* s long .*and 23 more\)"):
        fma.read_recordings(fma.find(folder), seconds=30.0, jobs=1)


# --- the suggested split ---


def test_the_test_part_is_predicted_by_methods_trained_on_the_other_two(clips, tmp_path):
    recipe = recordings.genre_recipe(seconds=1.0).with_values(folds=3, members=1)
    data = suggested.make_training_data(np.zeros((24, 2, 2)), clips)
    train, valid = folds.split(data, recipe, 0)
    assert set(clips.part[valid]) == {0} and set(clips.part[train]) == {1, 2} and len(valid) == 4
    (row,) = Comparison(tmp_path, data, recipe).rows(classical.clip_methods("518 numbers")[1:2], clips.numbers, folds=1)
    assert row["accuracy"] == 1


def test_an_artist_in_two_parts_is_counted_and_no_error(clips):
    assert suggested.missing_parts(clips) == [] and suggested.count_shared(clips) == 0
    groups = np.where(clips.groups == clips.groups[clips.part == 2][0], clips.groups[clips.part == 0][0], clips.groups)
    shared = recordings.Recordings(clips.paths, clips.labels, clips.names, groups, {}, clips.part)
    assert suggested.count_shared(shared) == 2
    data = suggested.make_training_data(np.zeros((24, 2, 2)), shared)
    assert len(folds.split(data, recordings.genre_recipe(folds=3), 0)[1]) == 4
    clipped = recordings.Recordings(clips.paths, clips.labels, clips.names, groups, {}, np.full(24, 2))
    assert suggested.missing_parts(clipped) == ["test", "validation"]
