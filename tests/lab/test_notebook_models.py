"""Notebook 07 from its first cell to its last on a small competition, and once more."""

import nbformat
import pandas as pd
import papermill
import pytest

from snippetkit.data import demo
from snippetkit.utils.paths import project_folder

for package in ("captum", "onnx", "onnxscript", "onnxruntime", "hmmlearn", "audiomentations"):
    pytest.importorskip(package, reason="what the lab takes: pip install -r requirements-lab.txt")

NOTEBOOK = project_folder() / "notebooks" / "07_models_and_explanations.ipynb"
NETWORKS = ["lab.tcn", "lab.wave", "resnet18", "resnet18, class_weights True", "resnet18, oversample True",
            "resnet18, focal 2.0", "resnet18, 1 changed versions", "student of the ensemble", "the ensemble of 1"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    parameters = {
        "data": str(demo.make(folder / "competition", train=60, test=8)), "out": str(folder / "out"),
        "members": 1, "epochs": 1, "networks": "lab.tcn", "network_epochs": 1, "inputs": "MFCC", "numbers": True,
        "joined": "lab.tcn; SVM, linear on 518 numbers",
    }
    for name in ("first", "again"):
        papermill.execute_notebook(str(NOTEBOOK), str(folder / f"{name}.ipynb"), parameters, progress_bar=False)
    return folder


def test_it_ends_with_a_sorted_table_of_all_methods(executed):
    table = pd.read_csv(executed / "out" / "lab" / "methods.csv")
    assert table["accuracy"].is_monotonic_decreasing
    assert set(NETWORKS) <= set(table["method"])
    assert {"k-NN, 15", "HMM, 6 states", "gradient boosting"} <= set(table["method"])
    assert table[["seconds", "milliseconds"]].gt(0).all(axis=None)


def test_what_is_complete_is_not_made_again(executed):
    first, again = (said(executed / f"{name}.ipynb") for name in ("first", "again"))
    for words in ("member 00", "518 numbers:", "samples:", "1 versions:"):
        assert words in first and words not in again


def test_methods_that_joined_the_ensemble_answer_with_it(executed):
    submission = pd.read_csv(executed / "out" / "lab" / "submission.csv")
    assert len(submission) == 8 and submission["category"].isin(range(4)).all()
    tables = [each.data["text/plain"] for cell in nbformat.read(executed / "first.ipynb", 4).cells
              for each in cell.get("outputs", []) if each.output_type == "display_data" and "text/plain" in each.data]
    assert any("with it" in table and "SVM, linear on 518 numbers" in table for table in tables)


def said(path):
    """All that a notebook's cells printed, the bars of their progress with it."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return "".join(each.text for cell in cells for each in cell.outputs if each.output_type == "stream")
