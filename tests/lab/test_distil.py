"""What a student is told, and by whom."""

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
    model="cnn3", split="songs", folds=3, members=2, epochs=12, batch_size=16, precision="fp32", mixup=0.3,
)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory, cpu):
    data = make_data(seed=0, clips=90)
    teachers = tmp_path_factory.mktemp("run") / "members"
    train_ensemble(teachers, RECIPE, data, devices=[cpu])
    return distil.Lessons(data=data, teachers=teachers)


def test_targets_are_the_teachers_answers_and_the_labels(lessons, cpu):
    train, valid, _ = lessons.datasets(RECIPE, 0, cpu)
    rows, held_out = folds.split(lessons.data, RECIPE, 0)
    torch.testing.assert_close(train.labels.sum(dim=1), torch.ones(len(rows)))
    told = torch.from_numpy(lessons.data.labels[rows])
    assert (train.labels.gather(1, told[:, None]) >= 0.3).all()
    assert (train.labels.argmax(dim=1) == told).double().mean() > 0.8
    assert valid.labels.tolist() == lessons.data.labels[held_out].tolist()     # it is judged by what people said


def test_a_student_learns_and_is_compared_on_songs_that_nobody_heard(lessons, cpu, tmp_path):
    recipe = RECIPE.with_values(members=1)
    assert train_ensemble(tmp_path, recipe, lessons, devices=[cpu]) == [0]
    student, ensemble = collect(tmp_path, lessons), collect(lessons.teachers, lessons.data)
    found = distil.agreement(student, ensemble)
    assert found["student"] > 0.8 and found["agreement"] > 0.8 and found["test_agreement"] > 0.8
    network = distil.load_student(tmp_path, recipe, cpu)
    _, held_out, _ = lessons.datasets(recipe, 0, cpu)
    with torch.inference_mode():
        logits = network(held_out.features).numpy()
    np.testing.assert_allclose(logits, student.valid_logits[0], atol=1e-5)


def test_other_teachers_make_another_student(lessons, tmp_path, cpu):
    alone = tmp_path / "members"
    train_ensemble(alone, RECIPE.with_values(members=1, epochs=1), lessons.data, devices=[cpu])
    other = distil.Lessons(data=lessons.data, teachers=alone)
    assert other.fingerprint(RECIPE) != lessons.fingerprint(RECIPE)


def test_who_teaches_no_student_makes_no_difference(lessons, tmp_path):
    shutil.copytree(lessons.teachers, tmp_path / "members", ignore=shutil.ignore_patterns("member_01"))
    for students, alike in ((1, True), (2, False)):
        both, one = (distil.Lessons(data=lessons.data, teachers=teachers, students=students)
                     for teachers in (lessons.teachers, tmp_path / "members"))
        assert (both.fingerprint(RECIPE) == one.fingerprint(RECIPE)) is alike


def test_a_student_whose_songs_all_teachers_know_is_refused(lessons, cpu):
    with pytest.raises(KitError, match="no member in .* held out the clips that the student is judged by"):
        lessons.datasets(RECIPE, 2, cpu)    # of three folds, two have a teacher
