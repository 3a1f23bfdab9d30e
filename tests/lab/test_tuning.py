"""A small search by Hyperband: poor tries end early, fold 0 is never looked at, and what was tried is kept."""

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import methods
from snippetkit.lab.genres import tuning
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

pytest.importorskip("optuna", reason="what tunes: pip install -r requirements-lab.txt")


@pytest.fixture(scope="module")
def data():
    return make_data(seed=0, clips=90)


@pytest.fixture(scope="module")
def recipe():
    return Recipe.published().with_values(
        split="songs", folds=3, members=3, epochs=3, batch_size=16, precision="fp32", standardise=True, model="lab.cnn4"
    )


@pytest.fixture(scope="module")
def searched(data, recipe, cpu, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, tuning.search(folder, data, recipe, device=cpu, tries=6, most_filters=32)


def test_choices_lie_in_the_space_and_the_best_is_best(searched):
    _, study = searched
    table = tuning.tried(study)
    assert len(table) == 6 and table["accuracy"].is_monotonic_decreasing and table["accuracy"][0] > 0.5
    assert set(table["kernel"]) <= {3, 4, 5, 6} and set(table["dropout"]) <= {0.2, 0.25, 0.5}
    assert set(table["lr"]) <= {0.01, 0.001, 0.0001} and set(table["filters"]) == {"32-32-32-32"}
    assert len(table[["kernel", "dropout", "lr"]].drop_duplicates()) > 3


def test_poor_tries_end_early(searched):
    assert tuning.tried(searched[1])["epochs"].min() < 3 == tuning.tried(searched[1])["epochs"].max()


def test_what_was_tried_is_not_tried_again_and_more_can_be_added(searched, data, recipe, cpu):
    folder, study = searched
    again = tuning.search(folder, data, recipe, device=cpu, tries=6, most_filters=32)
    assert tuning.tried(again).equals(tuning.tried(study)) and again.best_params == study.best_params
    more = tuning.search(folder, data, recipe, device=cpu, tries=7, most_filters=32)
    assert len(more.trials) == 7
    other = tuning.search(folder, data, recipe.with_values(epochs=1), device=cpu, tries=1, most_filters=32)
    assert len(other.trials) == 1


def test_when_the_time_is_up_the_search_goes_on_the_next_time(data, recipe, cpu, tmp_path, capsys):
    clock = Clock(1e-6)
    study = tuning.search(tmp_path, data, recipe, device=cpu, tries=3, most_filters=32, clock=clock)
    assert len(study.trials) == 1 and study.best_params
    assert "Hyperband stopped after 1 tries, as the time is up; run again to go on" in capsys.readouterr().err
    assert len(tuning.search(tmp_path, data, recipe, device=cpu, tries=3, most_filters=32).trials) == 3


def test_the_fold_that_judges_is_never_looked_at(data, recipe, cpu, tmp_path):
    class Guarded(np.ndarray):
        def __getitem__(self, rows):
            if isinstance(rows, np.ndarray):
                seen.update(rows.tolist())
            return super().__getitem__(rows)

    seen = set()
    array = np.asarray(data.train.array).view(Guarded)
    guarded = make_data(seed=0, clips=90)
    object.__setattr__(guarded.train, "array", array)
    tuning.search(tmp_path, guarded, recipe.with_values(epochs=1), device=cpu, tries=1, most_filters=32)
    train, held_out = folds.split(data, recipe, 0)
    assert seen == set(train.tolist()) and not seen & set(held_out.tolist())


def test_two_folds_are_too_few(data, recipe, cpu, tmp_path):
    with pytest.raises(KitError, match="2 folds are too few to tune in: .* choose 3 or more"):
        tuning.search(tmp_path, data, recipe.with_values(folds=2), device=cpu)


def test_what_was_found_is_judged_on_that_fold_alone(searched, data, recipe, cpu):
    method = tuning.tuned(searched[1], recipe, cpu)
    inputs = np.asarray(data.train.array)
    judged = methods.judge(method, inputs, inputs[:0], data, recipe.with_values(members=1))
    assert sorted(judged.result.valid_clips) == folds.split(data, recipe, 0)[1].tolist()
    kernel = searched[1].best_params["kernel"]
    convolutions = 32 * kernel**2 + 3 * 32 * 32 * kernel**2 + 4 * 2 * 32
    assert judged.parameters == convolutions + 8 * 32 * 64 + 64 + 64 * 4 + 4
    assert methods.row(method.name, method.features, judged, data)["accuracy"] > 0.5
