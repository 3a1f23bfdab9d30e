"""Notebook 07 from its first cell to its last on a small competition, twice."""

import pandas as pd
import papermill
import pytest

from snippetkit.data import demo
from snippetkit.utils.paths import project_folder

pytestmark = pytest.mark.slow

for package in ("captum", "onnx", "onnxscript", "onnxruntime", "hmmlearn", "audiomentations"):
    pytest.importorskip(package, reason="the lab: pip install -r requirements-lab.txt")

NOTEBOOK = project_folder() / "notebooks" / "07_models_and_explanations.ipynb"
NETWORKS = {"lab.tcn", "lab.wave", "resnet18", "resnet18, class_weights True", "resnet18, oversample True",
            "resnet18, focal 2.0", "resnet18, 1 changed versions", "student of the ensemble", "the ensemble of 1"}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The work folder, and the outputs of all cells of the first run and of the second."""
    folder = tmp_path_factory.mktemp("models")
    parameters = {
        "data": str(demo.make(folder / "competition", train=60, test=8)), "out": str(folder / "out"),
        "members": 1, "epochs": 1, "networks": "lab.tcn", "network_epochs": 1, "inputs": "MFCC", "numbers": True,
        "blended": "lab.tcn; SVM, linear on 518 numbers",
    }
    notebooks = [papermill.execute_notebook(NOTEBOOK, folder / f"{name}.ipynb", parameters, progress_bar=False)
                 for name in ("first", "again")]
    outputs = [[output for cell in notebook.cells for output in cell.get("outputs", [])] for notebook in notebooks]
    return folder / "out" / "lab", *outputs


def test_it_ends_with_a_sorted_table_of_all_methods(executed):
    table = pd.read_csv(executed[0] / "methods.csv")
    assert table["accuracy"].is_monotonic_decreasing
    assert NETWORKS | {"k-NN, 15", "HMM, 6 states", "gradient boosting"} <= set(table["method"])
    assert table[["seconds", "milliseconds"]].gt(0).all(axis=None)


def test_complete_results_are_not_computed_again(executed):
    first, again = ("".join(output.get("text", "") for output in outputs) for outputs in executed[1:])
    for words in ("member 00", "518 numbers:", "samples:", "1 versions:"):
        assert words in first and words not in again


def test_methods_can_be_blended_with_the_ensemble(executed):
    folder, outputs, _ = executed
    submission = pd.read_csv(folder / "submission.csv")
    assert len(submission) == 8 and submission["category"].isin(range(4)).all()
    tables = [output.data["text/plain"] for output in outputs if output.output_type == "display_data"]
    assert any("blended" in table and "SVM, linear on 518 numbers" in table for table in tables)
