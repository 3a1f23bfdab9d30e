"""Notebook 07 from its first cell to its last on a small competition, twice."""

import re

import pandas as pd
import pytest
from lab.notebooks import execute

from snippetkit.data import demo

pytestmark = pytest.mark.slow

for package in ("captum", "onnx", "onnxscript", "onnxruntime", "hmmlearn", "audiomentations"):
    pytest.importorskip(package, reason="the lab: pip install -r requirements-lab.txt")

NETWORKS = {"lab.tcn", "lab.wave", "resnet18", "resnet18, class_weights True", "resnet18, oversample True",
            "resnet18, focal 2.0", "resnet18, 1 changed versions", "student of the ensemble", "ensemble of 1"}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The work folder, and what the cells print and show in the first run and in the second."""
    folder = tmp_path_factory.mktemp("models")
    parameters = {
        "data": str(demo.make(folder / "competition", train=60, test=8)), "out": str(folder / "out"),
        "members": 1, "epochs": 1, "networks": "lab.tcn", "network_epochs": 1, "inputs": "MFCC", "numbers": True,
        "blended": "lab.tcn; SVM, linear on 518 numbers",
    }
    return folder / "out" / "lab", *(execute("07_models_and_explanations", folder, parameters) for _ in range(2))


def test_it_ends_with_a_sorted_table_of_all_methods(executed):
    table = pd.read_csv(executed[0] / "methods.csv")
    assert table["accuracy"].is_monotonic_decreasing
    assert NETWORKS | {"k-NN, 15", "HMM, 6 states", "gradient boosting"} <= set(table["method"])
    assert table[["seconds", "milliseconds"]].gt(0).all(axis=None)


def test_complete_results_are_not_computed_again(executed):
    _, first, again = executed
    for words in ("member 00", "518 numbers:", "samples:", "1 versions:"):
        assert words in first and words not in again


def test_methods_can_be_blended_with_the_ensemble(executed):
    folder, first, _ = executed
    submission = pd.read_csv(folder / "submission.csv")
    assert len(submission) == 8 and submission["category"].isin(range(4)).all()
    assert re.search("(?s)ensemble +blended.*SVM, linear on 518 numbers", first)
