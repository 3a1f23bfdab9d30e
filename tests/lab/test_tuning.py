"""A small search by Hyperband: poor trials end early, fold 0 is not used, and finished trials are kept."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import methods
from snippetkit.lab.genres import tuning
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

pytest.importorskip("optuna", reason="tuning: pip install -r requirements-lab.txt")

RECIPE = Recipe.published().with_values(
    split="songs", folds=3, members=3, epochs=3, batch_size=16, precision="fp32", standardise=True, model="lab.cnn4"
)


@pytest.fixture(scope="module")
def data():
    return make_data(seed=0, clips=60, frames=20)


@pytest.fixture(scope="module")
def search(data, cpu):
    def search(folder, data=data, recipe=RECIPE, **options):
        return tuning.search(folder, data, recipe, device=cpu, most_filters=32, **options)

    return search


@pytest.fixture(scope="module")
def searched(search, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, search(folder, tries=6)


def test_trials_lie_in_the_space_and_poor_ones_end_early(searched):
    table = tuning.trials_table(searched[1])
    assert len(table) == 6 and table["accuracy"].is_monotonic_decreasing and table["accuracy"][0] > 0.5
    assert set(table["kernel"]) <= {3, 4, 5, 6} and set(table["dropout"]) <= {0.2, 0.25, 0.5}
    assert set(table["lr"]) <= {0.01, 0.001, 0.0001} and set(table["filters"]) == {"32-32-32-32"}
    assert len(table[["kernel", "dropout", "lr"]].drop_duplicates()) > 3
    assert table["epochs"].min() < 3 == table["epochs"].max()


def test_finished_trials_are_kept_and_more_can_be_added(searched, search):
    folder, study = searched
    again = search(folder, tries=6)
    assert tuning.trials_table(again).equals(tuning.trials_table(study)) and again.best_params == study.best_params
    assert len(search(folder, tries=7).trials) == 7
    assert len(search(folder, tries=1, recipe=RECIPE.with_values(epochs=1)).trials) == 1


def test_a_search_stops_in_time_and_continues(search, tmp_path, capsys):
    study = search(tmp_path, tries=2, clock=Clock(1e-6))
    assert len(study.trials) == 1 and study.best_params
    assert "Hyperband stopped after 1 tries because of the time limit. Run again" in capsys.readouterr().err
    assert len(search(tmp_path, tries=2).trials) == 2


@pytest.mark.parametrize("fold, same", [(0, True), (1, False), (2, False)])
def test_only_the_fold_of_the_evaluation_is_not_used(data, searched, search, tmp_path, fold, same):
    array = np.where(data.songs.fold[:, None, None] == fold, np.nan, data.train.array)
    study = search(tmp_path, data=replace(data, train=replace(data.train, array=array)), tries=1)
    values, earlier = (result.trials[0].intermediate_values for result in (study, searched[1]))
    assert (values == earlier) is same


def test_two_folds_are_too_few(search, tmp_path):
    with pytest.raises(KitError, match="folds=2 is too few for tuning: .* Choose 3 or more"):
        search(tmp_path, recipe=RECIPE.with_values(folds=2))


def test_the_best_network_is_evaluated_on_the_first_fold(searched, data, cpu):
    method, recipe = tuning.tuned_method(searched[1], RECIPE, cpu), RECIPE.with_values(members=1)
    array = data.train.array
    evaluation = methods.make_evaluation(
        data, recipe, **methods.cross_validate(method, array, array[:0], data, recipe)
    )
    assert sorted(evaluation.result.valid_clips) == folds.split(data, RECIPE, 0)[1].tolist()
    convolutions = (32 + 3 * 32 * 32) * searched[1].best_params["kernel"] ** 2 + 4 * 2 * 32
    assert evaluation.parameters == convolutions + 8 * 32 * 64 + 64 + 64 * 4 + 4
    assert methods.compute_metrics(evaluation.result, data)["accuracy"] > 0.5
