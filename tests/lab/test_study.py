"""What notebook 07 evaluates: every method on the clips of the ensemble, and any of them blended with it."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data

from snippetkit.data import competition
from snippetkit.lab import classical
from snippetkit.lab.singers.study import Study
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.errors import KitError

RECIPE = Recipe.published().with_values(
    model="cnn3", split="songs", folds=3, members=3, epochs=2, batch_size=16, precision="fp32", separator="none",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory, cpu, small_competition):
    """Of made-up features; the clips of the competition stand in for the files."""
    folder = tmp_path_factory.mktemp("run")
    data = make_data(seed=0, clips=24)
    train_ensemble(folder / "members", RECIPE, data, devices=[cpu])
    return Study(folder=folder / "lab", competition=small_competition, data=data, recipe=RECIPE, run=folder, device=cpu,
                 valid_folds=2)


@pytest.fixture(scope="module")
def evaluated(study):
    """The same with a classical method, a network and the ensemble in its table."""
    means = [features.array.mean(axis=1) for features in (study.data.train, study.data.test)]
    study.evaluate_methods(classical.clip_methods("means")[3:4], *means)
    study.train("cnn3", 1, {"focal": 2.0})
    study.add_ensemble()
    return study


def test_everything_is_evaluated_on_the_same_clips(evaluated):
    clips = np.sort(np.concatenate([folds.split(evaluated.data, RECIPE, fold)[1] for fold in (0, 1)]))
    for result in (evaluated.ensemble, *evaluated.results.values()):
        assert result.valid_clips.tolist() == clips.tolist()
    assert evaluated.chance == np.bincount(evaluated.data.labels[clips]).max() / len(clips)


def test_the_table_has_a_row_per_method(evaluated):
    names = {"ensemble of 3 (1 prediction per clip)", "random forest", "cnn3, focal 2.0"}
    assert set(evaluated.table["method"]) == names
    assert evaluated.table["accuracy"].is_monotonic_decreasing
    assert set(evaluated.no_better_than_chance) <= set(evaluated.table["method"])


def test_evaluated_methods_can_be_blended_with_the_ensemble(evaluated):
    assert len(evaluated.blend(["random forest on means", "cnn3, focal 2.0"]).test_logits) == 3
    assert set(evaluated.blending_gains()["method"]) == set(evaluated.results)
    with pytest.raises(KitError, match="no method 'tcn' to blend. Choose from: random forest on means; cnn3"):
        evaluated.blend(["tcn"])


def test_paths_and_statistics_are_those_of_the_member(study):
    train, valid = folds.split(study.data, RECIPE, 1)
    assert study.valid_paths(1) == [study.competition.train[row] for row in valid] and study.statistics(1) is None
    standardised = replace(study, recipe=RECIPE.with_values(standardise=True))
    mean = study.data.train.array[train].mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(standardised.statistics(1)[0], mean)


@pytest.mark.slow
def test_bad_test_clips_are_predicted_from_what_can_be_decoded(study, copied_demo, tmp_path):
    empty, cut, dangling = (copied_demo / "test_mp3s" / f"{i}.mp3" for i in range(3))
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:9000])
    dangling.unlink()
    dangling.symlink_to("nowhere.mp3")
    damaged = replace(study, competition=competition.find(copied_demo), folder=tmp_path, rows=[], results={})
    damaged.evaluate_frames("MFCC")
    damaged.train_on_samples(1)
    assert len(damaged.rows) == len(damaged.results) > 2
    for result in damaged.results.values():
        assert result.test_logits.shape[1:] == (8, 4) and np.isfinite(result.test_logits).all()


def test_changed_versions_of_separated_vocals_are_refused(study):
    separated = replace(study, recipe=RECIPE.with_values(separator="torch"))
    with pytest.raises(KitError, match="versions are of clips with music, but this run separated the vocals"):
        separated.train_on_versions("cnn3", 1, 1)
