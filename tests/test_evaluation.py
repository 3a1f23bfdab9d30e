"""Metrics by hand, confidence intervals over songs, the report's headline, and two runs compared clip by clip."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from snippetkit.prediction.evaluation import accuracy_by_size, compare_runs, evaluate, interval, read_out_of_fold
from snippetkit.prediction.report import headline, next_steps
from snippetkit.recipe import Recipe
from snippetkit.run.workspace import Workspace
from snippetkit.training.members import member_folder
from snippetkit.utils.errors import KitError

# --- metrics ---


def test_metrics_per_class_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 0, 2])
    metrics = evaluate(np.eye(4)[predicted], labels, class_names=("a", "b", "c", "d"))
    assert metrics["clips"] == 6 and metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    first = metrics["classes"][0]
    assert first["class"] == "a" and first["clips"] == 3
    assert (first["precision"], first["recall"], first["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert metrics["classes"][3]["f1"] == 0  # a class that does not occur


def test_accuracy_by_size_over_all_subsets():
    labels = np.zeros(10, int)
    right, wrong = np.tile([1.0, 0.0], (10, 1)), np.tile([0.0, 3.0], (10, 1))
    table = accuracy_by_size(np.stack([right, right, wrong]), labels)
    assert table["members"].tolist() == [1, 2, 3] and table["subsets"].tolist() == [3, 3, 1]
    assert table["mean"].tolist() == pytest.approx([2 / 3, 1 / 3, 0.0])
    assert table["deviation"][0] == pytest.approx(np.std([1, 1, 0]))


def test_subsets_of_many_members_are_sampled_and_the_same_each_time():
    logits, labels = np.random.default_rng(0).normal(size=(11, 20, 4)), np.zeros(20, int)
    one, two = (accuracy_by_size(logits, labels) for _ in range(2))
    assert one.equals(two) and one["subsets"].max() == 200 and one["subsets"].iloc[-1] == 1


def test_clips_of_one_song_widen_the_interval():
    is_right = np.tile(np.repeat([True, False, True, True], 5), 5)
    clips, songs = interval(is_right, np.arange(100)), interval(is_right, np.arange(100) // 5)
    assert clips["low"] < 0.75 < clips["high"] and (clips["groups"], songs["groups"]) == (100, 20)
    width = clips["high"] - clips["low"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 100), rel=0.1)
    assert songs["high"] - songs["low"] > 1.8 * width
    assert interval(is_right, np.arange(100) // 25) is None     # four songs are too few for a bootstrap


@pytest.mark.parametrize(["members", "bounds", "line"], [
    (1, None, "0.7000 on 40 validation clips, 1 member per clip"),
    (4, {"low": 0.61, "high": 0.79, "level": 0.95, "groups": 12}, "0.7000 on 40 validation clips, 4 members per clip; "
     "95% interval over 12 groups of songs: 0.610 to 0.790"),
])
def test_headline_of_a_report(members, bounds, line):
    assert headline({"accuracy": 0.7, "clips": 40, "members_per_clip": members, "interval": bounds}) == line


# --- two runs ---


def table_of(is_right, *, ids=range(60), label=2):
    return pd.DataFrame({"id": ids, "group": np.arange(len(is_right)) // 4, "label": label,
                         "predicted": np.where(is_right, label, label + 1), "split": "songs"})


def test_gain_is_measured_on_the_common_clips():
    generator = np.random.default_rng(0)
    before = generator.random(60) < 0.5
    now = before | (generator.random(60) < 0.4)
    forwards, backwards = (compare_runs(table_of(one), table_of(two)) for one, two in ((now, before), (before, now)))
    assert (forwards["clips"], forwards["accuracy"], forwards["baseline"]) == (60, now.mean(), before.mean())
    assert 0 < forwards["interval"]["low"] < now.mean() - before.mean() < forwards["interval"]["high"]
    assert backwards["interval"]["high"] < 0
    half = compare_runs(table_of(now), table_of(before).iloc[30:])
    assert half["clips"] == 30 and half["accuracy"] == now[30:].mean()


def test_equal_predictions_give_an_interval_of_zero_but_random_splits_none():
    by_songs = table_of(np.arange(60) % 2 == 0)
    random = by_songs.assign(split="random")
    bounds = compare_runs(by_songs, by_songs)["interval"]
    assert bounds["low"] == bounds["high"] == 0 and compare_runs(random, random)["interval"] is None


@pytest.mark.parametrize(["changes", "sentence"], [
    ({"id": range(100, 160)}, "have no validation clip in common"),
    ({"label": 1}, "of different competitions"),
    ({"split": "random"}, "one run has split=random"),
    ({"group": np.arange(60) // 5}, "different groups of songs"),
])
def test_runs_that_cannot_be_compared_are_refused(changes, sentence):
    with pytest.raises(KitError, match=sentence):
        compare_runs(table_of([True] * 60), table_of([True] * 60).assign(**changes))


@pytest.mark.parametrize("content", [None, "id,label\n0,1\n"], ids=["missing", "lacks columns"])
def test_unreadable_table_of_a_run_is_refused(tmp_path, content):
    if content:
        (tmp_path / "held_out.csv").write_text(content)
    with pytest.raises(KitError, match="held_out.csv cannot be read .* Run 04_predict there first"):
        read_out_of_fold(tmp_path)


@pytest.mark.parametrize("recipe, networks, classifiers, starts", [
    (Recipe.published(), 2, 0, ["Keep songs apart", "Add classifiers", "Train more members", "Listen"]),
    (Recipe.published().with_values(separator="none"), 5, 0, [
        "Keep songs apart", "Train on vocals", "Add classifiers", "Listen",
    ]),
    (Recipe.quick(), 0, 15, ["Add networks", "Listen"]),
    (Recipe.best(), 4, 25, ["Train more members", "Listen"]),
    (Recipe.best(), 20, 25, ["Listen"]),
])
def test_next_steps_are_those_that_were_not_taken(tmp_path, recipe, networks, classifiers, starts):
    work = Workspace(data=tmp_path, folder=tmp_path)
    members = [member_folder(work.members, i) for i in range(networks)]
    members += [member_folder(tmp_path / "classifiers" / "some", i) for i in range(classifiers)]
    steps = next_steps(SimpleNamespace(recipe=recipe, members=members), work)
    assert [step.startswith(start) for step, start in zip(steps, starts, strict=True)] == [True] * len(starts), steps
