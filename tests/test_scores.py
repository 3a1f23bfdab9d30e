"""Logits of members: out-of-fold, averaged, blended with their song, and joined with those of other runs."""

from dataclasses import replace

import numpy as np
import pytest

from snippetkit.prediction.evaluation import out_of_fold_table, score_table
from snippetkit.prediction.scores import average, blend, collect, held_out_logits, together
from snippetkit.songs import folds
from snippetkit.training.members import identity, member_folder
from snippetkit.utils.artifacts import write_record
from snippetkit.utils.errors import KitError


@pytest.fixture
def by_songs(small_recipe):
    return small_recipe.with_values(split="songs", folds=3)


def write_member(folder, i, valid, test):
    path = member_folder(folder, i)
    path.mkdir(exist_ok=True)
    for split, logits in (("valid", valid), ("test", test)):
        np.save(path / f"{split}_logits.npy", np.asarray(logits, np.float32))
    return path


@pytest.fixture
def members(tmp_path, by_songs, small_data):
    """Four finished members with random logits; 0 and 3 share a fold."""
    generator = np.random.default_rng(0)
    for i in range(4):
        clips = len(folds.split(small_data, by_songs, i)[1])
        path = write_member(tmp_path, i, generator.normal(size=(clips, 4)), generator.normal(size=(20, 4)))
        write_record(path / "recipe.json", identity(i, by_songs, small_data))
        (path / "done.json").write_text("{}")
    return tmp_path


# --- the mathematics ---


def test_logits_are_averaged_before_the_argmax():
    logits = np.random.default_rng(0).normal(size=(2, 20, 4)).astype(np.float32)
    assert average(logits).dtype == np.float64
    np.testing.assert_allclose(average(logits), (logits[0] + logits[1]) / 2, rtol=1e-6)
    # one confident member outweighs two others, as it would not with votes or probabilities
    confident = np.array([[[0.0, 30.0]], [[1.0, 0.0]], [[1.0, 0.0]]])
    assert average(confident).argmax() == 1


def test_blending_moves_logits_towards_the_mean_of_a_known_song():
    logits, song = np.array([[0.0, 4], [2, 0], [9, 1]]), np.array([7, 7, 3])
    assert np.array_equal(blend(logits, song, share=0), logits)
    assert blend(logits, song, share=1).tolist() == [[1, 2], [1, 2], [9, 1]]
    assert blend(logits, song, share=0.5).tolist() == [[0.5, 3], [1.5, 1], [9, 1]]
    assert np.array_equal(blend(logits, np.array([-1, -1, -1]), share=1), logits)     # unknown songs are not one song


# --- members on disk ---


def test_out_of_fold_logits_are_stacked_in_the_order_of_the_members(tmp_path):
    rows = [np.array([0, 2]), np.array([1, 4]), np.array([0, 2]), np.array([1, 4]), np.array([3, 5])]
    for i in range(5):
        write_member(tmp_path, i, np.full((2, 4), i), [])
    two, clips = held_out_logits(tmp_path, range(4), rows[:4])
    assert clips.tolist() == [0, 1, 2, 4] and two[:, :, 0].tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]]
    one, clips = held_out_logits(tmp_path, range(5), rows)
    assert clips.tolist() == [0, 1, 2, 3, 4, 5] and one[:, :, 0].tolist() == [[0, 1, 0, 4, 1, 4]]
    shared, clips = held_out_logits(tmp_path, range(2), rows[:1] * 2)   # as with split=random
    assert clips.tolist() == [0, 2] and shared[:, :, 0].tolist() == [[0, 0], [1, 1]]


def test_collected_validation_logits_come_from_members_that_did_not_train_on_the_clip(members, by_songs, small_data):
    result = collect(members, small_data)
    assert result.valid_logits.shape == (1, 60, 4) and np.array_equal(result.valid_clips, np.arange(60))
    for i in range(3):
        rows = folds.split(small_data, by_songs, i)[1]
        logits = np.load(member_folder(members, i) / "valid_logits.npy")
        np.testing.assert_array_equal(result.valid_logits[0, rows], logits)
    assert result.test_logits.shape == (4, 20, 4) and result.recipe == by_songs.with_values(members=20)
    np.testing.assert_array_equal(result.predictions, result.test_logits.mean(axis=0).argmax(axis=1))
    table = out_of_fold_table(result, small_data)
    assert table["id"].tolist() == list(range(60)) and set(table["split"]) == {"songs"}
    assert table["predicted"].tolist() == result.valid_logits[0].argmax(axis=1).tolist()
    for probabilities, logits in ((table, result.valid_logits), (score_table(result, range(20)), result.test_logits)):
        powers = np.exp(logits.mean(axis=0, dtype=float))
        columns = probabilities[[f"probability_{label}" for label in range(4)]]
        np.testing.assert_allclose(columns, powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)
    assert collect(members, small_data, members=2).test_logits.shape == (2, 20, 4)


def test_validation_is_blended_only_if_songs_of_test_clips_are_known(members, small_data):
    result = collect(members, small_data, neighbours=0.5)
    np.testing.assert_array_equal(result.valid_scores, average(result.valid_logits))
    known = replace(result, test_songs=np.zeros(20, int))
    expected = blend(average(result.valid_logits), result.valid_songs, share=0.5)
    np.testing.assert_array_equal(known.valid_scores, expected)
    np.testing.assert_array_equal(known.test_scores, blend(average(result.test_logits), np.zeros(20, int), share=0.5))


def test_members_of_other_data_are_refused(members, small_data):
    with pytest.raises(KitError, match="were trained on other clips, labels, features or songs. Choose another"):
        collect(members, replace(small_data, labels=1 - small_data.labels))


@pytest.mark.parametrize("name", ["test_logits.npy", "valid_logits.npy"])
def test_damaged_logits_are_refused(members, small_data, name):
    path = member_folder(members, 1) / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(KitError, match=f"member_01.{name} cannot be read .* Delete .*done.json"):
        collect(members, small_data)
    np.save(path, np.zeros((5, 4)))
    with pytest.raises(KitError, match=rf"member_01.{name} has shape \(5, 4\), but there are 20 clips"):
        collect(members, small_data)


# --- several runs ---


def test_joined_results_average_all_members_on_the_common_clips(members, small_data):
    result = collect(members, small_data)
    other = replace(result, valid_clips=result.valid_clips + 40)    # as if it had validated on clips 40 to 99
    both = together(result, [other])
    assert both.valid_clips.tolist() == list(range(40, 60)) and both.beside == (other,) and len(both.members) == 8
    assert np.array_equal(both.valid_logits[0], result.valid_logits[0, 40:])
    assert np.array_equal(both.valid_logits[1], result.valid_logits[0, :20])
    assert np.array_equal(both.valid_labels, small_data.labels[40:])
    assert np.array_equal(both.valid_songs, result.valid_songs[40:])
    assert both.test_logits.shape == (8, 20, 4) and np.allclose(both.test_scores, result.test_scores)
    assert together(result, []) is result
    with pytest.raises(KitError, match="the runs have no validation clip in common"):
        together(result, [replace(result, valid_clips=result.valid_clips + 100)])
