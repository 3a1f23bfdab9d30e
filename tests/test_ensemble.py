import json
import shutil

import numpy as np
import pytest

from snippetkit.prediction import evaluation
from snippetkit.prediction.scores import average, stack_test_logits
from snippetkit.training import ensemble
from snippetkit.training.members import finished_members, member_folder, read_histories, shared_recipe
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def members(tmp_path, small_recipe, small_data, cpu):
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu]) == [0, 1]
    return tmp_path


def test_only_missing_members_are_trained(members, small_recipe, small_data, cpu):
    before = {path: path.stat().st_mtime_ns for path in members.rglob("last.pt")}
    more = small_recipe.with_values(members=3)
    assert ensemble.train_ensemble(members, more, small_data, devices=[cpu]) == [0, 1, 2]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert list(read_histories(members)) == [0, 1, 2]


@pytest.mark.slow
def test_two_devices_train_side_by_side_and_give_the_same(members, tmp_path_factory, small_recipe, small_data, cpu):
    # two processes with a processor each; what they compute must not depend on who computes it
    folder = tmp_path_factory.mktemp("parallel")
    more = small_recipe.with_values(members=4)
    assert ensemble.train_ensemble(folder, more, small_data, devices=[cpu, cpu]) == [0, 1, 2, 3]
    for i in (0, 1):
        ours, theirs = (np.load(member_folder(each, i) / "test_logits.npy") for each in (members, folder))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_all_members_are_looked_at_before_any_is_trained(members, small_recipe, small_data, cpu):
    shutil.rmtree(members / "member_00")
    with pytest.raises(KitError, match="member_01 was created differently .epochs: 3, now 4"):
        ensemble.train_ensemble(members, small_recipe.with_values(epochs=4), small_data, devices=[cpu])
    assert not (members / "member_00").exists()


def test_a_session_that_is_over_leaves_the_rest_for_later(tmp_path, small_recipe, small_data, cpu):
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu], clock=Clock(1e-9)) == []
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu]) == [0, 1]


def test_logits_are_averaged_before_the_argmax(members):
    logits = stack_test_logits(members, [0, 1], 20)
    assert logits.shape == (2, 20, 4)
    np.testing.assert_allclose(average(logits), (logits[0] + logits[1]) / 2, rtol=1e-6)
    # a member that is sure outweighs two that are not, as it would not by votes or probabilities
    sure = np.array([[[0.0, 30.0]], [[1.0, 0.0]], [[1.0, 0.0]]])
    assert average(sure).argmax() == 1


def test_members_of_different_recipes_are_not_averaged(members, small_recipe):
    recipe, data = shared_recipe(members, [0, 1])
    assert recipe.part("member") == small_recipe.part("member") and data
    path = members / "member_01" / "recipe.json"
    note = json.loads(path.read_text())
    note["made_by"]["recipe"]["epochs"] = 7
    path.write_text(json.dumps(note))
    with pytest.raises(KitError, match="member_01 .* has another recipe or other training data than member_00"):
        shared_recipe(members, [0, 1])


def test_damaged_logits_are_a_sentence(members):
    path = members / "member_01" / "test_logits.npy"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(KitError, match="test_logits.npy cannot be read"):
        stack_test_logits(members, [0, 1], 20)
    np.save(path, np.zeros((5, 4)))
    with pytest.raises(KitError, match=r"test_logits.npy has shape \(5, 4\), but there are 20 clips"):
        stack_test_logits(members, [0, 1], 20)


def test_no_finished_member_is_a_sentence(tmp_path):
    with pytest.raises(KitError, match="no finished member .* Run the notebook 03_train_ensemble first"):
        shared_recipe(tmp_path, finished_members(tmp_path))


# --- judging ---


def test_figures_a_class_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 0, 2])
    judged = evaluation.evaluate(np.eye(4)[predicted], labels, class_names=NAMES)
    assert judged["clips"] == 6 and judged["accuracy"] == pytest.approx(4 / 6)
    assert judged["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    first = judged["classes"][0]
    assert first["class"] == "a" and first["clips"] == 3
    assert (first["precision"], first["recall"], first["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert judged["classes"][3]["f1"] == 0  # a class that does not occur


def test_accuracy_by_size_over_all_subsets():
    labels = np.zeros(10, int)
    right, wrong = np.tile([1.0, 0.0], (10, 1)), np.tile([0.0, 3.0], (10, 1))
    table = evaluation.accuracy_by_size(np.stack([right, right, wrong]), labels)
    assert table["members"].tolist() == [1, 2, 3] and table["subsets"].tolist() == [3, 3, 1]
    assert table["mean"].tolist() == pytest.approx([2 / 3, 1 / 3, 0.0])
    assert table["deviation"][0] == pytest.approx(np.std([1, 1, 0]))


def test_many_members_are_sampled_and_the_same_each_time():
    logits = np.random.default_rng(0).normal(size=(12, 50, 4))
    labels = np.zeros(50, int)
    one, two = (evaluation.accuracy_by_size(logits, labels) for _ in range(2))
    assert one.equals(two) and one["subsets"].max() == 200 and one["subsets"].iloc[-1] == 1
