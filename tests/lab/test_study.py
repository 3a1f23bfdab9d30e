"""What notebook 07 asks of a study: the ensemble on the clips that everything is judged on, and who may join it."""

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import classical
from snippetkit.lab.singers.study import Study
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.errors import KitError

RECIPE = Recipe.published().with_values(
    model="cnn3", split="songs", folds=3, members=3, epochs=2, batch_size=16, precision="fp32",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory, cpu):
    folder = tmp_path_factory.mktemp("run")
    data = make_data(seed=0, clips=90)
    train_ensemble(folder / "members", RECIPE, data, devices=[cpu])
    return Study(folder=folder / "lab", competition=None, data=data, recipe=RECIPE, run=folder, device=cpu, judged=2)


def test_everything_is_judged_on_the_same_clips(study):
    means = [np.asarray(each.array).mean(axis=1) for each in (study.data.train, study.data.test)]
    study.judge_methods(classical.on_clips("means")[1:3], *means)
    study.add_ensemble()
    asked = np.sort(np.concatenate([folds.split(study.data, RECIPE, fold)[1] for fold in (0, 1)]))
    for result in (study.ensemble, *study.answers.values()):
        assert result.valid_clips.tolist() == asked.tolist()
    assert study.chance == np.bincount(study.data.labels[asked]).max() / len(asked)
    assert {"the ensemble of 3, 1 a clip", "SVM, linear"} <= set(study.table["method"])
    assert study.table["parameters"].dtype == "Int64" and "SVM, linear" not in study.unlearned


def test_what_was_judged_joins_the_ensemble_and_nothing_else_does(study):
    assert len(study.joined(["SVM, linear on means"]).test_logits) == 2
    assert set(study.worth_joining()["beside"]) == set(study.answers)
    with pytest.raises(KitError, match="no method 'tcn' .*; there are: SVM, linear on means; "):
        study.joined(["tcn"])
