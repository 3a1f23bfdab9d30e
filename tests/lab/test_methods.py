"""Classical methods in the folds of songs, their results as the core's, and blending with an ensemble."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import classical, methods
from snippetkit.lab.singers.study import blend, blending_gains
from snippetkit.prediction.evaluation import out_of_fold_table
from snippetkit.prediction.scores import average, together
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError

RECIPE = Recipe.published().with_values(split="songs", folds=3)


@pytest.fixture(scope="module")
def data():
    return make_data(seed=0, clips=120)


def evaluate(method, data, inputs=lambda features: features.array.mean(axis=1)):
    content = methods.cross_validate(method, inputs(data.train), inputs(data.test), data, RECIPE)
    return methods.make_evaluation(data, RECIPE, **content)


@pytest.fixture(scope="module")
def results(data):
    """Of an SVM and of nearest neighbours."""
    neighbours, _, svm, *_ = classical.clip_methods("means")
    return evaluate(svm, data).result, evaluate(neighbours, data).result


@pytest.mark.parametrize("method", classical.clip_methods("means of bands"), ids=lambda method: method.name)
def test_methods_on_clips_learn_the_classes(method, data):
    evaluation = evaluate(method, data)
    row = methods.table_row(method.name, method.features, evaluation, data)
    assert row["accuracy"] > 0.9 and row["low"] <= row["accuracy"] <= row["high"] and row["map"] > 0.9
    assert evaluation.result.valid_logits.shape == (1, 120, 4) and evaluation.result.test_logits.shape == (3, 40, 4)
    assert row["seconds"] > 0 and row["milliseconds"] > 0 and row["parameters"] > 10


@pytest.mark.parametrize("method", classical.frame_methods("bands"), ids=lambda method: method.name)
def test_methods_on_frames_learn_the_classes(method, data):
    if "HMM" in method.name:
        pytest.importorskip("hmmlearn", reason="HMMs: pip install -r requirements-lab.txt")
    evaluation = evaluate(method, data, lambda features: features.array[:, ::4])
    assert methods.compute_metrics(evaluation.result, data)["accuracy"] > 0.8


def own_method(name, predict):
    """A method whose probabilities a function computes from the training set and the inputs."""
    class Estimator:
        def fit(self, inputs, labels):
            self.classes_, self.train = np.arange(4), (inputs, labels)
            return self

        def predict_proba(self, inputs):
            return predict(*self.train, inputs)

    return methods.Method(name, "bands", lambda seed: Estimator(), lambda fitted: 1)


def test_no_clip_is_predicted_by_a_method_that_was_trained_on_its_song(data):
    def recall(songs, labels, asked):
        known = dict(zip(songs[:, 0], labels))
        return np.array([np.eye(4)[known[song]] if song in known else np.full(4, 0.25) for song in asked[:, 0]])

    group = {"train": data.songs.group[:, None], "test": np.full((40, 1), -1)}
    evaluation = evaluate(own_method("memory", recall), data, lambda features: group[features.fingerprint.split()[0]])
    assert np.allclose(evaluation.result.valid_logits, np.log(0.25))


def test_blended_methods_have_equal_weights_and_are_exported_by_the_core(data, results):
    svm, neighbours = results
    blended = blend(together(svm, [svm, svm]), [neighbours])
    assert blended.valid_logits.shape == (2, 120, 4) and blended.test_logits.shape == (2, 40, 4)
    assert np.allclose(average(blended.valid_logits), (svm.valid_logits[0] + neighbours.valid_logits[0]) / 2)
    assert len(out_of_fold_table(blended, data)) == 120


def test_blending_gains_are_measured_on_the_same_clips(data, results):
    svm, _ = results
    wrong = replace(svm, valid_logits=10 * np.roll(svm.valid_logits, 1, axis=2))
    gains = blending_gains(svm, {"itself": svm, "always wrong": wrong}, data).set_index("method")
    assert gains.index.tolist() == ["itself", "always wrong"] and gains.loc["itself", "gain"] == 0
    row = gains.loc["always wrong"]
    assert row["ensemble"] > 0.9 and row["blended"] < 0.1 and row["high"] < -0.5
    assert row["gain"] == pytest.approx(row["blended"] - row["ensemble"])


def test_metrics_of_known_predictions(data):
    """Half of the clips of one class are predicted as another one; the other two classes do not occur."""
    labels = np.repeat([0, 1], 6)
    logits = np.eye(4)[[0] * 6 + [1] * 3 + [0] * 3] * 9
    result = SimpleNamespace(valid_logits=logits[None], valid_labels=labels, valid_clips=np.arange(12))
    metrics = methods.compute_metrics(result, data)
    assert metrics["accuracy"] == 0.75 and np.isnan([metrics["low"], metrics["high"]]).all()    # three songs
    assert metrics["recall"] == pytest.approx((1 + 0.5) / 2) and metrics["precision"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_method_that_predicts_nan_is_refused(data):
    broken = own_method("broken", lambda inputs, labels, asked: np.full((len(asked), 4), np.nan))
    with pytest.raises(KitError, match="broken on bands predicted NaN for some clips of fold 0"):
        evaluate(broken, data)


def test_too_few_clips_for_a_method_are_an_error_message():
    neighbours, *_ = classical.clip_methods("numbers")
    with pytest.raises(KitError, match="k-NN, 15 on numbers cannot be trained on the 8 clips of fold 0"):
        evaluate(neighbours, make_data(seed=0, clips=18))


def test_parameters_are_counted_for_every_method(data):
    inputs = data.train.array.mean(axis=1)[:, :12]
    for method, expected in (
        (classical.clip_methods("numbers")[0], 120 * 12),
        (classical.dense_networks("numbers")[1], 12 * 64 + 64 + 64 * 4 + 4),
    ):
        assert method.count_parameters(method.make(0).fit(inputs, data.labels)) == expected
    mixtures = classical.GaussianMixtures().fit(data.train.array, data.labels)
    assert classical.count_parameters(mixtures) == 4 * 16 * (1 + 40 + 40)
