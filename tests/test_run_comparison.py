"""Two runs compared clip by clip."""

import numpy as np
import pandas as pd
import pytest

from snippetkit.prediction.evaluation import compare_runs, read_out_of_fold
from snippetkit.utils.errors import KitError


def run_of(right, *, ids=range(60), label=2):
    return pd.DataFrame({"id": ids, "group": np.arange(len(right)) // 4, "label": label,
                         "predicted": np.where(right, label, label + 1), "split": "songs"})


def test_a_gain_is_told_on_the_clips_that_both_held_out():
    generator = np.random.default_rng(0)
    theirs = generator.random(60) < 0.5
    ours = theirs | (generator.random(60) < 0.4)
    found = compare_runs(run_of(ours), run_of(theirs))
    assert (found["clips"], found["ours"], found["theirs"]) == (60, ours.mean(), theirs.mean())
    assert 0 < found["interval"]["low"] < ours.mean() - theirs.mean() < found["interval"]["high"]
    backwards = compare_runs(run_of(theirs), run_of(ours))
    assert backwards["interval"]["high"] < 0
    half = compare_runs(run_of(ours), run_of(theirs).iloc[30:])
    assert half["clips"] == 30 and half["ours"] == ours[30:].mean()


def test_what_both_get_wrong_or_right_widens_nothing():
    right = np.arange(60) % 2 == 0
    found = compare_runs(run_of(right), run_of(right))
    assert found["interval"]["low"] == found["interval"]["high"] == 0


def test_runs_that_cannot_be_compared_are_a_sentence(tmp_path):
    with pytest.raises(KitError, match="have no validation clip in common"):
        compare_runs(run_of([True] * 60), run_of([True] * 60, ids=range(100, 160)))
    with pytest.raises(KitError, match="of different competitions"):
        compare_runs(run_of([True] * 60), run_of([True] * 60, label=1))
    with pytest.raises(KitError, match="one run has split=random"):
        compare_runs(run_of([True] * 60), run_of([True] * 60).assign(split="random"))
    with pytest.raises(KitError, match="different groups of songs"):
        compare_runs(run_of([True] * 60), run_of([True] * 60).assign(group=np.arange(60) // 5))
    with pytest.raises(KitError, match="held_out.csv cannot be read .* Run 04_predict there first"):
        read_out_of_fold(tmp_path)
    (tmp_path / "held_out.csv").write_text("id,label\n0,1\n")
    with pytest.raises(KitError, match="held_out.csv cannot be read .* Run 04_predict there first"):
        read_out_of_fold(tmp_path)


def test_clips_drawn_at_random_say_nothing_of_other_songs():
    run = run_of([True] * 60).assign(split="random")
    assert compare_runs(run, run)["interval"] is None
