"""Which clips come from one song: against the demo's own plan, which no inference ever sees."""

import json
import shutil
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics.cluster import pair_confusion_matrix

from snippetkit.data import competition, demo
from snippetkit.songs.audit import audit, duplicate_pairs, largest
from snippetkit.songs.continuation import following
from snippetkit.songs.inference import infer
from snippetkit.songs.likeness import Likeness
from snippetkit.songs.table import find_songs
from snippetkit.songs.traces import AHEAD, RATE, Traces, extrapolate, trace, trace_clips
from snippetkit.utils.errors import KitError
from snippetkit.vocals.clips import check_clips

SEED = 11  # of a demo that no threshold was chosen on


@pytest.fixture(scope="module")
def large_demo(tmp_path_factory):
    return competition.find(demo.make(tmp_path_factory.mktemp("large") / "competition", seed=SEED))


@pytest.fixture(scope="module")
def true_songs(large_demo):
    return pd.read_csv(large_demo.root / "answers" / "songs.csv")["song"].to_numpy()


@pytest.fixture(scope="module")
def traces(large_demo):
    return trace_clips([*large_demo.train, *large_demo.test])


@pytest.fixture(scope="module")
def likeness(traces):
    return Likeness(traces.sound, *following(traces, margin=0.25))


@pytest.fixture(scope="module")
def inferred(traces):
    return infer(traces)


@pytest.fixture
def songs_of(tmp_path, small_recipe):
    """A function that finds the songs of the competition in a folder; options replace its arguments."""
    def songs_of(folder, *, labels=None, own="", folds=5):
        clips, recipe = competition.find(folder), small_recipe.with_values(separator="none", folds=folds)
        train, test = check_clips(clips, tmp_path / "vocals", recipe, on_bad="skip")
        labels = clips.labels[list(train.clips)] if labels is None else labels
        return find_songs(train, test, labels, tmp_path / "features" / "songs.csv", recipe, own=own)

    return songs_of


def pair_scores(song, true):
    """Precision and recall of "these two clips are of one song" over all pairs."""
    (_, wrong), (missed, right) = pair_confusion_matrix(true, song)
    return right / (right + wrong), right / (right + missed)


# --- traces of a clip ---


def test_tones_are_continued_in_phase():
    time = np.arange(4096 + AHEAD) / RATE
    signal = np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 1333.3 * time + 1)
    for samples in (signal, signal[::-1]):
        assert np.abs(extrapolate(samples[:4096]) - samples[4096:]).max() < 0.02


def test_silence_and_very_short_clips_have_traces():
    assert not extrapolate(np.zeros(4096)).any()
    for signal in (np.zeros(RATE * 3, np.float32), np.full(RATE // 10, 0.1, np.float32)):
        *ends, sound, _, _ = trace(signal)
        assert np.shape(ends) == (4, AHEAD) and np.isfinite(ends).all() and np.isfinite(sound).all()


@pytest.mark.slow
def test_clips_that_follow_one_another_are_found(traces, true_songs):
    first, second = following(traces, margin=0.25)
    assert len(first) > 100 and len(set(second)) == len(second)
    assert np.mean(true_songs[first] == true_songs[second]) > 0.97


@pytest.mark.slow
def test_clips_are_compared_in_blocks_with_the_same_result(traces, monkeypatch):
    whole = following(traces, margin=0.1)
    monkeypatch.setattr("snippetkit.songs.continuation._ROWS", 97)
    assert np.array_equal(whole, following(traces, margin=0.1))


@pytest.mark.slow
def test_likeness_tells_songs_apart(likeness, true_songs):
    odds = likeness.log_odds(slice(0, len(true_songs)))
    np.testing.assert_allclose(odds, odds.T, atol=1e-3)
    np.fill_diagonal(odds, -np.inf)
    assert np.mean(true_songs[odds.argmax(axis=1)] == true_songs) > 0.9


@pytest.mark.slow
def test_scores_are_standardised_by_the_clips_that_sound_most_alike(likeness):
    clips = slice(0, likeness.clips)
    odds, scores = likeness.log_odds(clips), likeness.scores(clips)
    np.testing.assert_allclose(scores, scores.T, atol=1e-3)
    cohorts = [np.sort(np.delete(odds[i], i))[-len(odds) // 5 :] for i in (3, 9)]   # a fifth of the other clips
    expected = np.mean([(odds[3, 9] - cohort.mean()) / cohort.std() for cohort in cohorts])
    assert scores[3, 9] == pytest.approx(expected, rel=0.02, abs=0.02)


# --- songs ---


@pytest.mark.slow
def test_inferred_songs_are_the_true_ones_and_groups_hold_whole_songs(inferred, true_songs):
    song, group, _ = inferred
    precision, recall = pair_scores(song, true_songs)
    assert precision >= 0.95 and recall >= 0.7
    assert len(set(zip(song, group))) == len(set(song))
    assert pair_scores(group, true_songs)[1] > max(0.95, recall)
    assert np.bincount(group).max() < 0.1 * len(group)      # songs that are not separated still form many groups
    for numbers in (song, group):
        assert np.array_equal(pd.factorize(numbers)[0], numbers)    # numbered in the order of their first clips


@pytest.mark.slow
def test_inferred_continuations_are_of_the_same_song(inferred, true_songs):
    follows = inferred[2]
    first = np.flatnonzero(follows >= 0)
    assert len(first) > 300 and np.mean(true_songs[first] == true_songs[follows[first]]) > 0.98


@pytest.mark.slow
def test_only_what_fits_at_the_cut_follows_however_alike(traces, likeness):
    generator = np.random.default_rng(0)
    noise = {name: generator.normal(size=traces.head.shape).astype(np.float32) for name in ("head", "tail")}
    first, _ = following(replace(traces, **noise), margin=0.2, likeness=likeness.log_odds, weight=0.03)
    assert len(first) < 5


@pytest.mark.slow
@pytest.mark.parametrize("clips", [[0, 1], [0], []])
def test_clips_that_do_not_fit_do_not_follow_one_another(traces, clips):
    assert not following(traces.of(np.array(clips, int)), margin=0.25)[0].size


def test_too_few_clips_to_learn_from_make_chains_and_it_is_said(small_competition, capsys):
    song, group, _ = infer(trace_clips([*small_competition.train, *small_competition.test]))
    assert np.array_equal(song, group)
    assert "are needed to train the similarity model" in capsys.readouterr().err
    precision, recall = pair_scores(song, pd.read_csv(small_competition.root / "answers" / "songs.csv")["song"])
    assert precision > 0.9 and recall > 0.1


def test_duplicates_share_a_song_and_silence_has_none_and_the_audit_counts_both(copied_demo, songs_of):
    train, test = copied_demo / "train_mp3s", copied_demo / "test_mp3s"
    for source, copy in ((0, train / "5.mp3"), (0, train / "7.mp3"), (4, test / "1.mp3")):
        shutil.copy(train / f"{source}.mp3", copy)
    for clip in (train / "3.mp3", train / "9.mp3", test / "2.mp3"):
        soundfile.write(clip, np.zeros(3 * RATE), RATE, format="MP3")
    labels = np.zeros(24, int)
    labels[7] = 2
    songs = songs_of(copied_demo, labels=labels)
    song = songs.table["song"].to_numpy()
    assert song[0] == song[5] == song[7] and song[4] == song[24 + 1]
    assert all((song == song[row]).sum() == 1 for row in (3, 9, 24 + 2))
    assert duplicate_pairs(songs, labels) == (1, 2)
    assert largest(songs, clips=2) == np.flatnonzero(song[:24] == np.bincount(song[:24]).argmax())[:2].tolist()
    counts = audit(songs, labels)["count"]
    assert counts["near-silent clips"] == 3 and songs.table["level"].min() == -200
    assert counts["identical in train and test"] == 1 and counts["songs in train and test"] >= 1


@pytest.mark.slow
def test_silence_among_many_clips_changes_no_song(traces, inferred):
    pairs = zip(fields(traces), trace(np.zeros(3 * RATE, np.float32)))
    song, group, _ = infer(Traces(*(np.append(getattr(traces, field.name), [value] * 2, 0) for field, value in pairs)))
    assert np.array_equal(song[:-2], inferred[0]) and np.array_equal(group[:-2], inferred[1])
    assert song[-2] != song[-1]


# --- the table ---


@pytest.fixture
def own_songs(small_demo, songs_of, tmp_path):
    """A function that finds the songs of `small_demo` in a person's own table of the true songs, ``mine.csv``."""
    table = pd.read_csv(small_demo / "answers" / "songs.csv")
    table["song"] = "song no. " + table["song"].astype(str)
    table.to_csv(tmp_path / "mine.csv", index=False)
    return partial(songs_of, small_demo, own=tmp_path / "mine.csv")


@pytest.mark.slow
def test_found_songs_are_the_inferred_ones_and_classes_are_spread_over_the_folds(large_demo, songs_of, inferred):
    songs = songs_of(large_demo.root)
    assert np.array_equal(songs.table[["song", "group", "follows"]], np.transpose(inferred))
    counts = pd.crosstab(songs.fold, large_demo.labels)
    assert counts.shape == (5, 4) and (counts - counts.mean()).abs().max(axis=None) < 8
    assert pd.Series(songs.fold).groupby(songs.group).nunique().max() == 1


@pytest.mark.slow
def test_existing_songs_are_kept_and_those_of_a_killed_run_are_not_inferred(own_songs, tmp_path):
    songs, path = own_songs(), tmp_path / "features" / "songs.csv"
    before = path.stat().st_mtime_ns
    assert own_songs(own="").table.equals(songs.table)      # the user's table is needed once
    assert path.stat().st_mtime_ns == before
    path.unlink()   # as if the run had been killed before the table was written
    with pytest.raises(KitError, match=r"songs.csv was created differently \(different songs\)"):
        own_songs(own="")
    assert own_songs().table.equals(songs.table)
    path.with_suffix(".json").unlink()
    with pytest.raises(KitError, match="has no songs.json, so how it was made is unknown"):
        own_songs()


def test_other_labels_or_another_number_of_folds_make_other_folds_of_the_same_songs(own_songs):
    two, three, relabelled = own_songs(folds=2), own_songs(folds=3), own_songs(folds=3, labels=np.arange(24) % 2)
    assert set(two.fold) == {0, 1} and set(three.fold) == {0, 1, 2}
    assert two.table.equals(three.table) and three.table.equals(relabelled.table)
    assert len({songs.fingerprint for songs in (two, three, relabelled)}) == 3


def test_damaged_folds_are_made_again(own_songs, tmp_path):
    fold, path = own_songs().fold, tmp_path / "features" / "folds.json"
    record = json.loads(path.read_text())
    for damaged in ({}, [], {**record, "fold": record["fold"][1:]}):
        path.write_text(json.dumps(damaged))
        assert np.array_equal(own_songs().fold, fold)


def test_songs_of_an_own_table_are_used(own_songs, tmp_path):
    songs = own_songs()
    numbers = pd.factorize(pd.read_csv(tmp_path / "mine.csv")["song"])[0]
    assert np.array_equal(songs.table["song"], numbers) and np.array_equal(songs.table["group"], numbers)
    assert not songs.is_inferred and not songs.caveat
    assert "clips that another continues" not in audit(songs, np.zeros(24, int)).index
    torn = replace(songs, table=songs.table.assign(content=["same", "same", *songs.table["content"][2:]]))
    assert audit(torn, np.zeros(24, int)).loc["identical train clips, other group", "count"] == 2
    assert "2 train clips are duplicates of clips that your own table" in torn.caveat


def test_own_table_may_contain_train_clips_only(own_songs, tmp_path):
    pd.read_csv(tmp_path / "mine.csv")[:24][["id", "song"]].to_csv(tmp_path / "train.csv", index=False)
    songs = own_songs(own=tmp_path / "train.csv")
    assert (songs.of("test")["song"] == -1).all() and (songs.of("train")["song"] >= 0).all()
    assert audit(songs, np.zeros(24, int)).loc["songs in train and test", "count"] == 0


@pytest.mark.parametrize("spoil, message", [
    (lambda table: table.drop(index=3), "has no song for the train clips 3"),
    (lambda table: pd.concat([table, table[5:6]]), "lists train clip 5 more than once"),
    (lambda table: table.assign(split="both"), "line 2: split 'both' is not train or test"),
    (lambda table: table.assign(song=[" ", *table["song"][1:]]), "line 2: the song is missing"),
    (lambda table: table.rename(columns={"song": "sung"}), "has no column song"),
    (lambda table: table.assign(id="one"), "line 2 of .* has 'one' where a whole number belongs"),
])
def test_faulty_own_table_is_refused(own_songs, tmp_path, spoil, message):
    spoil(pd.read_csv(tmp_path / "mine.csv")).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(KitError, match=message):
        own_songs()
    assert not (tmp_path / "features" / "songs.csv").exists()


@pytest.mark.parametrize("ending, message", [
    (",", None), (",,", None), (",7", "mine.csv, line 2: 4 values, but the first line names 3 columns"),
])
def test_rows_longer_than_the_first_line_never_shift_the_columns(own_songs, tmp_path, ending, message):
    path = tmp_path / "mine.csv"
    songs = pd.read_csv(path)["song"].nunique()
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row + ending for row in rows)]))
    if message:
        with pytest.raises(KitError, match=message):
            own_songs()
    else:
        assert own_songs().table["song"].nunique() == songs


def test_order_and_unknown_clips_of_an_own_table_change_nothing(own_songs, tmp_path, capsys):
    songs, table = own_songs(), pd.read_csv(tmp_path / "mine.csv")
    unknown = pd.DataFrame({"split": ["train"], "id": [9999], "song": ["another"]})
    pd.concat([unknown, table[::-1]]).to_csv(tmp_path / "mine.csv", index=False)
    assert own_songs().fingerprint == songs.fingerprint
    assert "lists 1 unknown clips, which are ignored" in capsys.readouterr().err


def test_missing_own_table_is_named(own_songs, tmp_path):
    with pytest.raises(KitError, match="nowhere.csv cannot be read"):
        own_songs(own=tmp_path / "nowhere.csv")


def test_songs_of_another_table_or_of_other_clips_are_refused(own_songs, songs_of, copied_demo, tmp_path):
    own_songs()
    table = pd.read_csv(tmp_path / "mine.csv")
    table.loc[5, "song"] = "another"    # one word in the middle
    table.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(KitError, match="different songs"):
        own_songs()
    shutil.copy(copied_demo / "train_mp3s" / "1.mp3", copied_demo / "train_mp3s" / "0.mp3")
    shutil.rmtree(tmp_path / "vocals")
    with pytest.raises(KitError, match="different clips"):
        songs_of(copied_demo)


def test_clips_keep_their_songs_if_ids_are_not_rows(damaged, songs_of):
    """Clip 3 is left out, and the sample submission lists the test clips backwards."""
    backwards, answers = list(range(7, -1, -1)), damaged.root / "answers" / "songs.csv"
    pd.DataFrame({"id": backwards, "category": 1}).to_csv(damaged.root / "example_submission.csv", index=False)
    songs = songs_of(damaged.root, own=answers)
    assert songs.of("train")["id"].tolist() == [i for i in range(24) if i != 3]
    assert songs.of("test")["id"].tolist() == backwards and len(songs.fold) == 23
    song, truth = (table.set_index(["split", "id"])["song"] for table in (songs.table, pd.read_csv(answers)))
    assert np.array_equal(song, pd.factorize(truth[song.index])[0])


def test_damaged_table_is_refused(own_songs, tmp_path):
    own_songs()
    path = tmp_path / "features" / "songs.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("split,id\ntrain,0\n")
    with pytest.raises(KitError, match="songs.csv cannot be read .* Delete it and run"):
        own_songs()
    path.write_text("".join(lines[:-1]))
    with pytest.raises(KitError, match="does not list the clips in order"):
        own_songs()
