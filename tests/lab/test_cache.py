"""What was computed once is read again; what depends on something else is computed anew."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import cache, classical
from snippetkit.recipe import Recipe
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError


def test_an_array_is_computed_once_for_the_same_source(tmp_path, monkeypatch):
    sizes = itertools.count(1)

    def cached(source):
        return cache.cached_array(tmp_path / "new", "array", source, lambda: np.arange(next(sizes))).tolist()

    assert [cached(["a", number]) for number in (1, 1, 2, 1)] == [[0], [0], [0, 1], [0]]
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert cached(["a", 1]) == [0, 1, 2]


def test_an_array_is_the_same_whether_computed_or_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 40, 30)).astype(np.float32)
    for number, array in enumerate((values, values.T, values[:, ::2], values.transpose(1, 0, 2))):
        computed, read = (cache.cached_array(tmp_path, "array", [number], lambda: array) for _ in range(2))
        assert np.array_equal(computed, array) and computed.strides == read.strides and computed.sum() == read.sum()


def test_a_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError):
        cache.cached_array(tmp_path / "new", "array", [], lambda: 1 / 0)
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="could not be written"):
        cache.cached_array(tmp_path / "file", "array", [], lambda: np.zeros(3))
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


def test_evaluations_are_read_again_until_something_changes(tmp_path):
    data = make_data(seed=0, clips=60)
    numbers = data.train.array.mean(axis=1)
    comparison = cache.Comparison(tmp_path, data, Recipe.published().with_values(split="songs", folds=3))
    method, other = classical.clip_methods("numbers")[:2]

    def count_files():
        return len(list(tmp_path.glob("*.npz")))

    first = comparison.rows([method], numbers)
    assert comparison.rows([method], numbers) == first and count_files() == 1     # the seconds, too
    comparison.evaluate([other], numbers)
    comparison.evaluate([method], numbers[:, ::-1])
    comparison.evaluate([method], numbers, folds=1)
    assert count_files() == 4
    (evaluation,) = comparison.evaluate([method], numbers, numbers[:7])
    assert evaluation.result.test_logits.shape == (3, 7, 4) and count_files() == 5
    (again,) = comparison.evaluate([method], numbers)
    assert np.array_equal(evaluation.result.valid_logits, again.result.valid_logits)

    late = replace(comparison, clock=Clock(1e-9))
    assert late.rows([method], numbers) == first
    with pytest.raises(KitError, match="the time limit was reached. What is finished is kept"):
        late.evaluate([other], numbers[:, ::-1])
    assert count_files() == 5
