"""A student learns a run's out-of-fold predictions, and is written as ONNX; runs that cannot teach are refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data, run_kit

from snippetkit.lab.singers import compress
from snippetkit.lab.singers.student import StudentData, student_recipe
from snippetkit.recipe import Recipe
from snippetkit.songs import folds

RECIPE = student_recipe("cnn3", 1, vars(Recipe(folds=3))).with_values(precision="fp32", crop=0, batch_size=16)


@pytest.fixture(scope="module")
def students():
    data = make_data(seed=0, clips=90)
    lessons = np.random.default_rng(0).dirichlet(np.ones(4), 90).astype(np.float32)
    return StudentData(**vars(data), lessons=lessons, share=0.6)


def test_targets_are_the_runs_predictions_of_the_same_clips_and_the_labels(students, cpu):
    train, valid, _ = students.datasets(RECIPE, 1, cpu)
    rows, held_out = folds.split(students, RECIPE, 1)
    labels = torch.eye(4)[students.labels[rows]]
    torch.testing.assert_close(train.labels, 0.6 * torch.from_numpy(students.lessons[rows]) + 0.4 * labels)
    assert valid.labels.tolist() == students.labels[held_out].tolist()


def test_the_fingerprint_changes_with_the_lessons(students):
    other = StudentData(**{**vars(students), "lessons": students.lessons[::-1]})
    assert other.fingerprint(RECIPE) != students.fingerprint(RECIPE)


def test_a_run_with_a_random_split_cannot_teach(short_run, tmp_path):
    result = run_kit("student", short_run, "--out", tmp_path / "out")
    assert result.returncode == 1 and "has a random split" in result.stderr and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_trains_a_student_and_writes_it_small(small_demo, tmp_path):
    short = ["--recipe", "published", "--set", "separator=none", "--set", "model=cnn3", "--set", "batch_size=8"]
    options = ["--epochs", 2, "--members", 2, "--set", "split=songs", "--set", "folds=2"]
    run = run_kit("run", "--data", small_demo, "--out", tmp_path / "run", *short, *options)
    assert run.returncode == 0, run.stderr
    command = ["student", tmp_path / "run", "--out", tmp_path / "out", "--model", "cnn3", "--epochs", 2]
    result = run_kit(*command)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("students, out-of-fold: 0.")
    versions = pd.read_csv(tmp_path / "out" / "student" / "versions.csv")
    assert {"as it was", "ONNX", "ONNX, 8 bits"} <= set(versions["version"])
    # on features as the filterbank gives them
    assert (tmp_path / "out" / "student" / "network_int8.onnx").stat().st_size > 10_000
    features = np.load(tmp_path / "out" / "features" / "test.npy")[:, np.newaxis]
    logits = compress.open_onnx(tmp_path / "out" / "student" / "network.onnx")(features)
    expected = np.load(tmp_path / "out" / "members" / "member_00" / "test_logits.npy")
    np.testing.assert_allclose(logits, expected, atol=0.3)      # which may be in half precision
    assert len(pd.read_csv(tmp_path / "out" / "held_out.csv")) == 24
    again = run_kit(*command)
    assert again.returncode == 0 and "members to train" not in again.stdout + again.stderr
    assert again.stdout == result.stdout
