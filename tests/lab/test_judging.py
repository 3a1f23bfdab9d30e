"""Scores that can be counted by hand, and thresholds that lie where they must."""

import numpy as np
import pytest

from snippetkit.lab.identify.evaluation import choose_threshold, rates, scores


def test_scores_of_a_handful_of_answers():
    # six songs; the third fragment is taken for song 0, with its own song on the second place
    logits = 5 * np.eye(6)
    logits[2] = [9, 0, 5, 0, 0, 0]
    found = scores(logits, np.arange(6))
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["precision"] == pytest.approx((0.5 + 1 + 0 + 1 + 1 + 1) / 6)
    assert found["top5"] == 1
    assert 0.9 < found["auc"] <= 1


def test_the_sixth_place_is_not_among_the_top_five():
    logits = np.tile(np.arange(6.0), (6, 1))       # song 0 comes last everywhere
    assert scores(logits, np.arange(6))["top5"] == pytest.approx(5 / 6)


def test_two_songs_have_a_top_five_of_two():
    assert scores(np.array([[1.0, 0.0], [1.0, 0.0]]), np.arange(2)) == {
        "accuracy": 0.5, "precision": 0.25, "auc": 0.5, "top5": 1.0,
    }


def test_the_threshold_parts_known_from_unknown():
    known, unknown = np.array([0.9, 0.8, 0.7, 0.4]), np.array([0.5, 0.3, 0.2])
    assert choose_threshold(known, unknown) == 0.7
    assert rates(known, unknown, 0.7) == {
        "threshold": 0.7, "true_positive_rate": 0.75, "false_positive_rate": 0.0, "auc": pytest.approx(11 / 12),
    }


def test_where_nothing_parts_them_the_area_is_a_half():
    rng = np.random.default_rng(0)
    assert rates(rng.random(4000), rng.random(4000), 0.5)["auc"] == pytest.approx(0.5, abs=0.03)
