"""Which clips come from one song: against the demo's own plan, which no inference ever sees."""

import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from snippetkit.data import competition, demo
from snippetkit.prediction.scores import blend
from snippetkit.songs.audit import audit, duplicate_pairs, largest
from snippetkit.songs.continuation import following
from snippetkit.songs.inference import infer
from snippetkit.songs.likeness import Likeness
from snippetkit.songs.table import find_songs
from snippetkit.songs.traces import AHEAD, RATE, extrapolate, trace, trace_clips
from snippetkit.utils.errors import KitError
from snippetkit.vocals.clips import check_clips

SEED = 11  # of a demo that no threshold was chosen on


@pytest.fixture(scope="module")
def large_demo(tmp_path_factory):
    return demo.make(tmp_path_factory.mktemp("large") / "competition", seed=SEED)


@pytest.fixture(scope="module")
def true_songs(large_demo):
    return pd.read_csv(large_demo / "answers" / "songs.csv")["song"].to_numpy()


@pytest.fixture(scope="module")
def traces(large_demo):
    found = competition.find(large_demo)
    return trace_clips([*found.train, *found.test])


@pytest.fixture(scope="module")
def inferred(traces):
    return infer(traces)


def pair_scores(found, true):
    """Precision and recall of "these two clips are of one song" over all pairs."""
    upper = np.triu_indices(len(true), 1)
    told, are = (np.equal.outer(each, each)[upper] for each in (found, true))
    return (told & are).sum() / told.sum(), (told & are).sum() / are.sum()


def sources_of(folder, recipe, tmp_path):
    found = competition.find(folder)
    return found, *check_clips(found, tmp_path / "vocals", recipe, on_bad="skip")


# --- what a clip gives away ---


def test_tones_are_continued_in_phase():
    time = np.arange(4096 + AHEAD) / RATE
    signal = np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 1333.3 * time + 1)
    ahead = extrapolate(signal[:4096])
    assert np.abs(ahead - signal[4096:]).max() < 0.02
    backwards = extrapolate(signal[::-1][:4096])
    assert np.abs(backwards - signal[::-1][4096:]).max() < 0.02


def test_silence_and_very_short_clips_have_traces():
    assert not extrapolate(np.zeros(4096)).any()
    for signal in (np.zeros(RATE * 3, np.float32), np.full(RATE // 10, 0.1, np.float32)):
        found = trace(signal)
        assert [each.shape for each in found[:4]] == [(AHEAD,)] * 4
        assert all(np.isfinite(values).all() for values in found[:5])


@pytest.mark.slow
def test_clips_that_follow_one_another_are_found(traces, true_songs):
    first, second = following(traces, margin=0.25)
    assert len(first) > 100 and len(set(second)) == len(second)
    assert np.mean(true_songs[first] == true_songs[second]) > 0.97


@pytest.mark.slow
def test_looking_at_blocks_of_clips_changes_nothing(traces, monkeypatch):
    whole = following(traces, margin=0.1)
    monkeypatch.setattr("snippetkit.songs.continuation._ROWS", 97)
    pieces = following(traces, margin=0.1)
    assert np.array_equal(whole, pieces)


@pytest.mark.slow
def test_the_likeness_tells_songs_apart(traces, true_songs):
    likeness = Likeness(traces.sound, *following(traces, margin=0.25))
    odds = likeness.log_odds(slice(0, len(true_songs)))
    np.testing.assert_allclose(odds, odds.T, atol=1e-3)
    np.fill_diagonal(odds, -np.inf)
    assert np.mean(true_songs[odds.argmax(axis=1)] == true_songs) > 0.9


@pytest.mark.slow
def test_scores_are_measured_by_the_clips_that_sound_most_alike(traces):
    likeness = Likeness(traces.sound, *following(traces, margin=0.25))
    clips = len(traces)
    odds, scores = likeness.log_odds(slice(0, clips)), likeness.scores(slice(0, clips))
    np.testing.assert_allclose(scores, scores.T, atol=1e-3)
    row = np.sort(np.delete(odds[3], 3))[-clips // 5 :]     # the fifth of the others that sounds most like clip 3
    column = np.sort(np.delete(odds[9], 9))[-clips // 5 :]
    expected = ((odds[3, 9] - row.mean()) / row.std() + (odds[3, 9] - column.mean()) / column.std()) / 2
    assert scores[3, 9] == pytest.approx(expected, rel=0.02, abs=0.02)


# --- songs ---


@pytest.mark.slow
def test_inferred_songs_are_the_true_ones(inferred, true_songs):
    precision, recall = pair_scores(inferred[0], true_songs)
    assert precision >= 0.95 and recall >= 0.7


@pytest.mark.slow
def test_groups_hold_whole_songs_and_miss_less(inferred, true_songs):
    song, group, _ = inferred
    assert all(len(set(group[song == number])) == 1 for number in set(song))
    assert pair_scores(group, true_songs)[1] > max(0.95, pair_scores(song, true_songs)[1])
    assert np.bincount(group).max() < 0.1 * len(group)      # what is not told apart is still many groups


@pytest.mark.slow
def test_what_follows_is_of_the_same_song(inferred, true_songs):
    follows = inferred[2]
    first = np.flatnonzero(follows >= 0)
    assert len(first) > 300 and np.mean(true_songs[first] == true_songs[follows[first]]) > 0.98


@pytest.mark.slow
def test_only_what_fits_at_the_cut_follows_however_alike(traces):
    generator = np.random.default_rng(0)
    noise = {name: generator.normal(size=traces.head.shape).astype(np.float32) for name in ("head", "tail")}
    likeness = Likeness(traces.sound, *following(traces, margin=0.25))
    first, _ = following(replace(traces, **noise), margin=0.2, likeness=likeness.log_odds, weight=0.03)
    assert len(first) < 5


@pytest.mark.slow
def test_two_clips_that_do_not_fit_do_not_follow_one_another(traces):
    assert len(following(traces.of(np.array([0, 1])), margin=0.25)[0]) == 0
    assert len(following(traces.of(np.array([0])), margin=0.25)[0]) == 0


@pytest.mark.slow
def test_songs_are_numbered_by_their_first_clips(inferred):
    for numbers in inferred[:2]:
        assert pd.unique(numbers).tolist() == list(range(len(set(numbers))))


def test_too_few_clips_to_learn_from_make_chains_and_it_is_said(small_competition, capsys):
    paths = [*small_competition.train, *small_competition.test]
    song, group, _ = infer(trace_clips(paths))
    assert np.array_equal(song, group)
    assert "are needed to learn how a song sounds" in capsys.readouterr().err
    truth = pd.read_csv(small_competition.root / "answers" / "songs.csv")["song"].to_numpy()
    precision, recall = pair_scores(song, truth)
    assert precision > 0.9 and recall > 0.1


def test_clips_of_equal_samples_are_of_one_song(copied_demo, tmp_path, small_recipe):
    clips = copied_demo / "train_mp3s"
    shutil.copy(clips / "0.mp3", clips / "5.mp3")
    shutil.copy(clips / "0.mp3", clips / "7.mp3")
    labels = np.loadtxt(copied_demo / "train_label.txt", int)
    labels[[0, 5, 7]] = 1, 1, 2
    np.savetxt(copied_demo / "train_label.txt", labels, "%d")
    found, train, test = sources_of(copied_demo, small_recipe.with_values(separator="none"), tmp_path)
    songs = find_songs(train, test, found.labels, tmp_path / "songs.csv", small_recipe)
    song = songs.of("train")["song"].to_numpy()
    assert song[0] == song[5] == song[7]
    assert duplicate_pairs(songs, found.labels) == (1, 2)
    assert largest(songs, clips=2) == np.flatnonzero(song == np.bincount(song).argmax())[:2].tolist()


def test_silent_clips_are_of_no_song_and_no_duplicates(copied_demo, tmp_path, small_recipe):
    for name in ("train_mp3s/3.mp3", "train_mp3s/9.mp3", "test_mp3s/2.mp3"):
        soundfile.write(copied_demo / name, np.zeros(3 * RATE), RATE, format="MP3")
    found, train, test = sources_of(copied_demo, small_recipe.with_values(separator="none"), tmp_path)
    songs = find_songs(train, test, found.labels, tmp_path / "songs.csv", small_recipe)
    song = songs.table["song"].to_numpy()
    assert all((song == song[row]).sum() == 1 for row in (3, 9, 24 + 2))
    assert duplicate_pairs(songs, found.labels) == (0, 0)
    assert audit(songs, found.labels).loc["identical in train and test", "count"] == 0


@pytest.mark.slow
def test_silence_among_many_clips_changes_no_song(traces, inferred):
    silent = trace(np.zeros(3 * RATE, np.float32))
    pairs = zip((getattr(traces, field.name) for field in fields(traces)), silent)
    more = type(traces)(*(np.concatenate([values, [value, value]]) for values, value in pairs))
    song, group, _ = infer(more)
    assert np.array_equal(song[:-2], inferred[0]) and np.array_equal(group[:-2], inferred[1])
    assert song[-2] != song[-1]


def test_the_audit_counts_silence_and_songs_on_both_sides(copied_demo, tmp_path, small_recipe):
    soundfile.write(copied_demo / "train_mp3s" / "3.mp3", np.zeros(3 * RATE), RATE, format="MP3")
    shutil.copy(copied_demo / "train_mp3s" / "4.mp3", copied_demo / "test_mp3s" / "1.mp3")
    found, train, test = sources_of(copied_demo, small_recipe.with_values(separator="none"), tmp_path)
    songs = find_songs(train, test, found.labels, tmp_path / "songs.csv", small_recipe)
    table = audit(songs, found.labels)["count"]
    assert table["near-silent clips"] == 1 and table["songs in train and test"] >= 1
    assert table["identical in train and test"] == 1 and songs.table["level"].min() == -200


# --- the table ---


@pytest.fixture
def own_songs(small_demo, tmp_path, small_recipe):
    """A demo's sources, and a table of its true songs in one's own words."""
    found, train, test = sources_of(small_demo, small_recipe.with_values(separator="none"), tmp_path)
    table = pd.read_csv(small_demo / "answers" / "songs.csv")
    table["song"] = "song no. " + table["song"].astype(str)
    table.to_csv(tmp_path / "mine.csv", index=False)

    def find(table=tmp_path / "mine.csv", recipe=small_recipe, labels=found.labels):
        return find_songs(train, test, labels, tmp_path / "features" / "songs.csv", recipe, own=table)

    return find


@pytest.mark.slow
def test_the_same_clips_give_the_same_folds(large_demo, tmp_path, small_recipe, inferred):
    found, train, test = sources_of(large_demo, small_recipe.with_values(separator="none"), tmp_path)
    songs = [find_songs(train, test, found.labels, tmp_path / name / "songs.csv", small_recipe) for name in "ab"]
    assert songs[0].table.equals(songs[1].table) and songs[0].fingerprint == songs[1].fingerprint
    assert np.array_equal(songs[0].table["song"], inferred[0])
    counts = np.array([np.bincount(found.labels[songs[0].fold == fold], minlength=4) for fold in range(5)])
    assert np.abs(counts - counts.mean(axis=0)).max() < 8     # the classes are spread evenly
    for group in set(songs[0].group):
        assert len(set(songs[0].fold[songs[0].group == group])) == 1


def test_what_is_there_is_not_inferred_again(own_songs, tmp_path):
    songs = own_songs()
    path = tmp_path / "features" / "songs.csv"
    before = path.stat().st_mtime_ns
    assert own_songs(table="").table.equals(songs.table)  # nor is the table asked for that they were taken from
    assert path.stat().st_mtime_ns == before


def test_a_run_that_was_killed_before_its_table_stood_does_not_infer_what_it_was_given(own_songs, tmp_path):
    songs = own_songs()
    path = tmp_path / "features" / "songs.csv"
    path.unlink()
    with pytest.raises(KitError, match=r"songs.csv was created differently \(different songs\)"):
        own_songs(table="")
    assert own_songs().table.equals(songs.table)
    path.with_suffix(".json").unlink()
    with pytest.raises(KitError, match="has no songs.json, so how it was made is unknown"):
        own_songs()


def test_other_labels_or_another_number_of_folds_make_other_folds_of_the_same_songs(own_songs, small_recipe):
    songs = own_songs(recipe=small_recipe.with_values(folds=2))
    assert set(songs.fold) == {0, 1}
    other = own_songs(recipe=small_recipe.with_values(folds=3))
    assert set(other.fold) == {0, 1, 2} and other.table.equals(songs.table)
    assert other.fingerprint != songs.fingerprint
    again = own_songs(recipe=small_recipe.with_values(folds=3), labels=np.arange(24) % 2)
    assert all(len(set(again.fold[again.group == group])) == 1 for group in set(again.group))


def test_damaged_folds_are_made_anew(own_songs, tmp_path):
    fold = own_songs().fold
    path = tmp_path / "features" / "folds.json"
    kept = json.loads(path.read_text())
    for damaged in ({}, [], {**kept, "fold": kept["fold"][1:]}):
        path.write_text(json.dumps(damaged))
        assert np.array_equal(own_songs().fold, fold)


def test_songs_of_ones_own_are_used(own_songs, small_demo):
    songs = own_songs()
    truth = pd.read_csv(small_demo / "answers" / "songs.csv")["song"].to_numpy()
    assert pair_scores(songs.table["song"].to_numpy(), truth) == (1, 1)
    assert np.array_equal(songs.table["song"], songs.table["group"])
    assert not songs.is_inferred and not songs.caveat
    assert "clips that another continues" not in audit(songs, np.zeros(24, int)).index
    torn = replace(songs, table=songs.table.assign(content=["same", "same", *songs.table["content"][2:]]))
    assert audit(torn, np.zeros(24, int)).loc["identical train clips, other group", "count"] == 2
    assert "2 train clips are duplicates of clips that your own table" in torn.caveat


def test_a_table_may_know_train_clips_only(own_songs, tmp_path):
    table = pd.read_csv(tmp_path / "mine.csv")
    table[table["split"] == "train"][["id", "song"]].to_csv(tmp_path / "train.csv", index=False)
    songs = own_songs(table=tmp_path / "train.csv")
    assert (songs.of("test")["song"] == -1).all() and (songs.of("train")["song"] >= 0).all()
    assert audit(songs, np.zeros(24, int)).loc["songs in train and test", "count"] == 0


@pytest.mark.parametrize("spoil, sentence", [
    (lambda table: table.drop(index=3), "has no song for the train clips 3"),
    (lambda table: pd.concat([table, table[5:6]]), "lists train clip 5 more than once"),
    (lambda table: table.assign(split="both"), "line 2: split 'both' is not train or test"),
    (lambda table: table.assign(song=[" ", *table["song"][1:]]), "line 2: the song is missing"),
    (lambda table: table.rename(columns={"song": "sung"}), "has no column song"),
    (lambda table: table.assign(id="one"), "line 2 of .* has 'one' where a whole number belongs"),
])
def test_a_faulty_table_is_a_sentence(own_songs, tmp_path, spoil, sentence):
    spoil(pd.read_csv(tmp_path / "mine.csv")).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(KitError, match=sentence):
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


def test_the_order_of_a_table_and_clips_that_are_not_there_change_nothing(own_songs, tmp_path, capsys):
    songs = own_songs()
    table = pd.read_csv(tmp_path / "mine.csv")
    strange = pd.DataFrame({"split": ["train"], "id": [9999], "song": ["another"]})
    pd.concat([strange, table.iloc[::-1]]).to_csv(tmp_path / "mine.csv", index=False)
    assert own_songs().fingerprint == songs.fingerprint
    assert "lists 1 unknown clips, which are ignored" in capsys.readouterr().err
    assert pd.unique(songs.table["song"]).tolist() == list(range(songs.table["song"].nunique()))


def test_a_missing_table_is_a_sentence(own_songs, tmp_path):
    with pytest.raises(KitError, match="nowhere.csv cannot be read"):
        own_songs(table=tmp_path / "nowhere.csv")


def test_songs_of_another_table_or_of_other_clips_are_refused(own_songs, copied_demo, small_recipe, tmp_path):
    own_songs()
    table = pd.read_csv(tmp_path / "mine.csv")
    table.loc[5, "song"] = "another"    # one word in the middle
    table.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(KitError, match="different songs"):
        own_songs()
    shutil.copy(copied_demo / "train_mp3s" / "1.mp3", copied_demo / "train_mp3s" / "0.mp3")
    found, train, test = sources_of(copied_demo, small_recipe.with_values(separator="none"), tmp_path / "changed")
    with pytest.raises(KitError, match="different clips"):
        find_songs(train, test, found.labels, tmp_path / "features" / "songs.csv", small_recipe)


def test_clips_keep_their_songs_where_ids_are_no_rows(damaged, tmp_path, small_recipe):
    """Clip 3 is left out, and the sample submission lists the test clips backwards."""
    sample = damaged.root / "example_submission.csv"
    sample.write_text("id,category\n" + "\n".join(f"{i},1" for i in range(7, -1, -1)))
    found, train, test = sources_of(damaged.root, small_recipe.with_values(separator="none"), tmp_path)
    truth = pd.read_csv(damaged.root / "answers" / "songs.csv").set_index(["split", "id"])["song"]
    truth.reset_index().to_csv(tmp_path / "mine.csv", index=False)
    songs = find_songs(train, test, np.delete(found.labels, 3), tmp_path / "songs.csv", small_recipe,
                       own=tmp_path / "mine.csv")
    assert songs.of("train")["id"].tolist() == [i for i in range(24) if i != 3]
    assert songs.of("test")["id"].tolist() == list(range(7, -1, -1))
    theirs = [truth[(split, i)] for split, i in zip(songs.table["split"], songs.table["id"])]
    assert pair_scores(songs.table["song"].to_numpy(), np.array(theirs)) == (1, 1)
    assert len(songs.fold) == 23


def test_a_damaged_table_is_a_sentence(own_songs, tmp_path):
    own_songs()
    path = tmp_path / "features" / "songs.csv"
    whole = path.read_text()
    path.write_text("split,id\ntrain,0\n")
    with pytest.raises(KitError, match="songs.csv cannot be read .* Delete it and run"):
        own_songs()
    path.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
    with pytest.raises(KitError, match="does not list the clips in order"):
        own_songs()


# --- neighbours ---


def test_a_clip_moves_towards_its_song():
    logits = np.array([[0.0, 4], [2, 0], [9, 1]])
    song = np.array([5, 5, -1])
    assert np.array_equal(blend(logits, song, share=0), logits)
    assert blend(logits, song, share=1).tolist() == [[1, 2], [1, 2], [9, 1]]
    assert blend(logits, song, share=0.5).tolist() == [[0.5, 3], [1.5, 1], [9, 1]]
    assert blend(logits, np.array([-1, -1, -1]), share=1).tolist() == logits.tolist()


def test_clips_without_known_songs_are_not_blended_with_one_another(own_songs):
    songs = own_songs()
    unknown = replace(songs, table=songs.table.assign(song=-1))
    logits = np.random.default_rng(0).normal(size=(len(unknown.table), 4))
    assert np.array_equal(blend(logits, unknown.table["song"].to_numpy(), share=1), logits)
