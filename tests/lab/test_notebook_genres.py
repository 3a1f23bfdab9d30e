"""Notebook 06 from its first cell to its last, on a handful of recordings, twice; and with a table beside them."""

import re

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest

from snippetkit.lab.genres import demo
from snippetkit.utils.paths import project_folder

NOTEBOOK = project_folder() / "notebooks" / "06_genres.ipynb"


def write_table(folder):
    """Twenty artists with three recordings each, of two genres that one number tells."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    label = np.repeat(["blues", "rock"], 30)
    name = [f"{genre}.{i}.wav" for i, genre in enumerate(label)]
    numbers = {"a": rng.normal(size=60) + 3 * (label == "rock"), "b": rng.normal(size=60)}
    pd.DataFrame({"filename": name, "length": 1, **numbers, "label": label}).to_csv(
        folder / "gtzan_features_30_sec.csv", index=False
    )
    pd.DataFrame({"file": name, "artist": np.repeat(np.arange(20), 3).astype(str)}).to_csv(
        folder / "tracks.csv", index=False
    )
    return folder


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    pytest.importorskip("optuna", reason="what tunes: pip install -r requirements-lab.txt")
    folder = tmp_path_factory.mktemp("genres")
    parameters = {
        "data": str(demo.make_genres(folder / "sounds", artists=3, recordings=4)), "out": str(folder / "out"),
        "weights": "random", "seconds": 2.0, "folds": 3, "epochs": 1, "tries": 1, "filters": 32, "shares": "90",
        "cv": 2,
    }
    for name, table in (("first", ""), ("again", str(write_table(folder / "table")))):
        papermill.execute_notebook(
            str(NOTEBOOK), str(folder / f"{name}.ipynb"), {**parameters, "table": table}, progress_bar=False
        )
    return folder


def text(executed, name):
    """What the cells print."""
    cells = nbformat.read(executed / f"{name}.ipynb", 4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_it_ends_with_one_sorted_table_of_all_ways(executed):
    table = pd.read_csv(executed / "out" / "genres.csv")
    assert table["accuracy"].is_monotonic_decreasing and len(table) == 5 + 9 + 2 + 1 + 5 * 3
    assert (table["parameters"] > 0).all() and (table["milliseconds"] > 0).all() and (table["seconds"] > 0).all()
    untrained = table["features"].str.endswith(", untrained")
    assert untrained.sum() == 15 and table.loc[~untrained, "features"].value_counts().to_dict() == {
        "518 numbers": 14, "log-mel picture": 2, "log-mel picture, first fold alone": 1,
    }


def test_pictures_are_there_and_the_damaged_file_is_named(executed):
    assert sorted(path.name for path in (executed / "out" / "figures").iterdir()) == [
        "accuracies.png", "gaps.png", "pictures.png",
    ]
    assert "artist 12 - cut short.mp3 holds" in text(executed, "first")


def test_what_is_made_is_not_made_again(executed):
    bars = re.compile(r"(518 numbers|log-mel pictures|member 00|Hyperband|vgg16|SVM, RBF):\s+\d+%")
    assert set(bars.findall(text(executed, "first"))) == {
        "518 numbers", "log-mel pictures", "member 00", "Hyperband", "vgg16", "SVM, RBF",
    }
    again = bars.findall(text(executed, "again"))
    assert set(again) <= {"Hyperband", "SVM, RBF"}      # a bar that is full from the start; GTZAN's table, new here


def test_a_table_is_judged_both_ways_where_there_is_one(executed):
    assert "GTZAN is left out" in text(executed, "first") and "GTZAN is left out" not in text(executed, "again")
    gaps = pd.read_csv(executed / "out" / "gaps, GTZAN.csv")
    assert len(gaps) == 5 and gaps["apart"].min() > 0.6
    table = pd.read_csv(executed / "out" / "gtzan.csv")
    assert table["accuracy"].is_monotonic_decreasing and len(table) == 5 + 9
    assert {"parameters", "seconds", "milliseconds", "low", "high", "f1"} <= set(table)
