"""A student learns from the members with its validation set, and is compared with the ensemble."""

import shutil

import numpy as np
import pytest
import torch
from conftest import make_data

from snippetkit.lab.singers import distil
from snippetkit.prediction.scores import collect
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.errors import KitError

RECIPE = Recipe.published().with_values(
    model="cnn3", split="songs", folds=3, members=2, epochs=8, batch_size=16, precision="fp32", mixup=0.3,
)


@pytest.fixture(scope="module")
def data():
    return make_data(seed=0, clips=90)


@pytest.fixture(scope="module")
def distillation(tmp_path_factory, cpu, data):
    teachers = tmp_path_factory.mktemp("run") / "members"
    train_ensemble(teachers, RECIPE, data, devices=[cpu])
    return distil.DistillationData(**vars(data), teachers=teachers)


def test_targets_combine_the_teachers_probabilities_and_the_labels(distillation, data, cpu):
    """The teacher of student 0 is member 0; it predicts its own training set."""
    train, valid, _ = distillation.datasets(RECIPE, 0, cpu)
    rows, held_out = folds.split(data, RECIPE, 0)
    teacher = distil.load_student(distillation.teachers, RECIPE, cpu).eval()
    with torch.inference_mode():
        probabilities = (teacher(train.features) / 2).softmax(dim=1)
    torch.testing.assert_close(train.labels, 0.7 * probabilities + 0.3 * torch.eye(4)[data.labels[rows]])
    assert valid.labels.tolist() == data.labels[held_out].tolist()


def test_a_student_learns_and_is_compared_out_of_fold(distillation, data, cpu, tmp_path):
    recipe = RECIPE.with_values(members=1)
    assert train_ensemble(tmp_path, recipe, distillation, devices=[cpu]) == [0]
    student, ensemble = collect(tmp_path, distillation), collect(distillation.teachers, data)
    comparison = distil.compare_with_ensemble(student, ensemble, data)
    assert all(comparison[name] > 0.8 for name in ("student", "ensemble", "agreement", "test_agreement"))
    with torch.inference_mode():
        logits = distil.load_student(tmp_path, recipe, cpu)(distillation.datasets(recipe, 0, cpu)[1].features)
    np.testing.assert_allclose(logits.numpy(), student.valid_logits[0], atol=1e-5)


def test_the_fingerprint_changes_with_the_teachers_of_a_student_only(distillation, tmp_path):
    shutil.copytree(distillation.teachers, tmp_path / "members", ignore=shutil.ignore_patterns("member_01"))
    def fingerprint(**changes):
        return distil.DistillationData(**{**vars(distillation), **changes}).fingerprint(RECIPE)

    for students, is_same in ((1, True), (2, False)):
        fewer = fingerprint(teachers=tmp_path / "members", students=students)
        assert (fewer == fingerprint(students=students)) is is_same
    (tmp_path / "members" / "member_00" / "done.json").write_text("{}")
    assert fingerprint(teachers=tmp_path / "members") != fingerprint()


def test_a_student_without_teachers_is_refused(distillation, cpu):
    with pytest.raises(KitError, match="no member in .* has the validation set of student 2"):
        distillation.datasets(RECIPE, 2, cpu)    # two of three folds have a teacher
