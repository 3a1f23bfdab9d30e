"""Methods that are no networks, on the folds of songs, with the core's results."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_data

from snippetkit.lab import classical, methods
from snippetkit.lab.singers.joined import joined, worth
from snippetkit.prediction.held_out import table
from snippetkit.prediction.scores import average, together
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError

RECIPE = Recipe.published().with_values(split="songs", folds=3)


@pytest.fixture(scope="module")
def data():
    return make_data(seed=0, clips=120)


def numbers(features):
    return np.asarray(features.array).mean(axis=1)


@pytest.mark.parametrize("method", classical.on_clips("means of bands"), ids=lambda method: method.name)
def test_methods_on_clips_learn_what_there_is_to_learn(method, data):
    judged = methods.judge(method, numbers(data.train), numbers(data.test), data, RECIPE)
    row = methods.row(method.name, method.features, judged, data)
    assert row["accuracy"] > 0.9 and row["low"] <= row["accuracy"] <= row["high"] and row["map"] > 0.9
    assert judged.result.valid_logits.shape == (1, 120, 4) and judged.result.test_logits.shape == (3, 40, 4)
    assert row["seconds"] > 0 and row["milliseconds"] > 0


@pytest.mark.parametrize("method", classical.on_frames("bands"), ids=lambda method: method.name)
def test_methods_on_frames_too(method, data):
    if "HMM" in method.name:
        pytest.importorskip("hmmlearn", reason="what has HMMs: pip install -r requirements-lab.txt")
    judged = methods.judge(method, np.asarray(data.train.array), np.asarray(data.test.array), data, RECIPE)
    assert methods.row(method.name, "bands", judged, data)["accuracy"] > 0.8


def test_no_clip_is_judged_by_who_heard_its_song(data):
    """A method that knows songs by heart is right on none that it never heard."""
    class Memory:
        def fit(self, inputs, labels):
            self.classes_ = np.arange(4)
            self.known = {tuple(each): label for each, label in zip(inputs, labels)}
            return self

        def predict_proba(self, inputs):
            return np.array([np.eye(4)[self.known[tuple(each)]] if tuple(each) in self.known else np.full(4, 0.25)
                             for each in inputs])

    songs = data.songs.group[:, None]
    memory = methods.Method(name="memory", features="song", make=lambda seed: Memory())
    judged = methods.judge(memory, songs, np.full((40, 1), -1), data, RECIPE)
    assert np.allclose(judged.result.valid_logits, np.log(0.25))


def test_a_method_stands_beside_another_in_an_average_and_in_a_table(data):
    svm, forest = (
        methods.judge(method, numbers(data.train), numbers(data.test), data, RECIPE)
        for method in classical.on_clips("means of bands")[2:4]
    )
    both = together(svm.result, [forest.result])
    assert both.valid_logits.shape == (2, 120, 4) and both.test_logits.shape == (6, 40, 4)
    assert len(table(both, data)) == 120


def test_joined_kinds_have_one_say_each_and_their_worth_is_told_on_the_same_clips(data):
    svm, forest = (
        methods.judge(method, numbers(data.train), numbers(data.test), data, RECIPE).result
        for method in classical.on_clips("means of bands")[2:4]
    )
    threefold = together(svm, [svm, svm])
    both = joined(threefold, [forest])
    assert both.valid_logits.shape == (2, 120, 4) and both.test_logits.shape == (2, 40, 4)
    mean = (svm.valid_logits[0] + forest.valid_logits[0]) / 2
    assert np.allclose(average(both.valid_logits), mean)

    wrong = replace(svm, valid_logits=10 * np.roll(svm.valid_logits, 1, axis=2))
    found = worth(svm, {"itself": svm, "what is always wrong": wrong}, data).set_index("beside")
    assert found.index.tolist() == ["itself", "what is always wrong"] and found.loc["itself", "gain"] == 0
    row = found.loc["what is always wrong"]
    assert row["alone"] > 0.9 and row["with it"] < 0.1 and row["high"] < -0.5
    assert row["gain"] == pytest.approx(row["with it"] - row["alone"])


def test_an_answer_that_is_no_number_is_refused(data):
    class Broken:
        def fit(self, inputs, labels):
            self.classes_ = np.arange(4)
            return self

        def predict_proba(self, inputs):
            return np.full((len(inputs), 4), np.nan)

    broken = methods.Method(name="broken", features="bands", make=lambda seed: Broken())
    with pytest.raises(KitError, match="broken on bands gave no number"):
        methods.judge(broken, numbers(data.train), numbers(data.test), data, RECIPE)


def test_what_a_library_refuses_is_a_sentence(data):
    (neighbours,) = [each for each in classical.on_clips("numbers") if "k-NN" in each.name]
    few = make_data(seed=0, clips=18)
    with pytest.raises(KitError, match="k-NN, 15 on numbers cannot be judged on fold 0, with 8 clips to learn from"):
        methods.judge(neighbours, numbers(few.train), numbers(few.test), few, RECIPE)
