"""Notebook 06 from its first cell to its last on a few recordings, again with a table beside them, and on FMA."""

import re

import numpy as np
import pandas as pd
import pytest
from lab.fma_files import track_path, write_fma
from lab.notebooks import execute

from snippetkit.lab import feature_sets
from snippetkit.lab.genres import demo

pytestmark = pytest.mark.slow
pytest.importorskip("optuna", reason="tuning: pip install -r requirements-lab.txt")


def write_table(folder):
    """Twenty artists with three recordings each, of two genres that differ in one number."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"filename": [f"{i}.wav" for i in range(60)], "length": 1})
    table["a"] = rng.normal(size=60) + np.repeat([0, 3], 30)
    table["b"] = rng.normal(size=60)
    table["label"] = np.repeat(["blues", "rock"], 30)
    table.to_csv(folder / "gtzan_features_30_sec.csv", index=False)
    pd.DataFrame({"file": table["filename"], "artist": np.arange(60) // 3}).to_csv(folder / "tracks.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The folder of the results, and what the cells print and show in the first run and in the second."""
    folder = tmp_path_factory.mktemp("genres")
    parameters = {
        "data": str(demo.make(folder / "sounds", artists=3, recordings=4)), "out": str(folder / "out"),
        "weights": "random", "seconds": 2.0, "folds": 3, "epochs": 1, "tries": 1, "filters": 32, "shares": "90",
        "cv": 2,
    }
    tables = "", str(write_table(folder / "table"))
    return folder / "out", *(execute("06_genres", folder, {**parameters, "table": table}) for table in tables)


def test_it_ends_with_one_sorted_table_of_all_methods(executed):
    table = pd.read_csv(executed[0] / "genres.csv")
    assert table["accuracy"].is_monotonic_decreasing and len(table) == 5 + 9 + 2 + 1 + 5 * 3
    assert table[["parameters", "milliseconds", "seconds"]].gt(0).all(axis=None)
    untrained = table["features"].str.endswith(", untrained")
    assert untrained.sum() == 15 and table.loc[~untrained, "features"].value_counts().to_dict() == {
        "518 numbers": 14, "log-mel picture": 2, "log-mel picture, first fold alone": 1,
    }


def test_pictures_are_saved_and_the_damaged_file_is_named(executed):
    out, first, _ = executed
    assert {path.name for path in (out / "figures").iterdir()} == {"accuracies.png", "gaps.png", "pictures.png"}
    assert "artist 12 - cut short.mp3 is" in first and "Left out: no recordings of a suggested test" in first
    assert len(pd.read_csv(out / "sets.csv")) == 1 + 2 * len(feature_sets.OF_518)


def test_complete_results_are_not_computed_again(executed):
    bars = re.compile(r"(518 numbers|log-mel pictures|member 00|Hyperband|vgg16|SVM, RBF):\s+\d+%")
    first, again = (set(bars.findall(text)) for text in executed[1:])
    assert first == {"518 numbers", "log-mel pictures", "member 00", "Hyperband", "vgg16", "SVM, RBF"}
    assert again <= {"Hyperband", "SVM, RBF"}      # a bar that starts at its end; GTZAN's table, new here


def test_a_table_is_evaluated_with_both_kinds_of_folds(executed):
    out, first, again = executed
    assert "GTZAN is left out" in first and "GTZAN is left out" not in again
    gaps = pd.read_csv(out / "gaps, GTZAN.csv")
    assert len(gaps) == 5 and gaps["apart"].min() > 0.6
    table = pd.read_csv(out / "gtzan.csv")
    assert table["accuracy"].is_monotonic_decreasing and len(table) == 5 + 9
    assert {"parameters", "seconds", "milliseconds", "low", "high", "f1"} <= set(table)


def test_fma_gives_the_tables_of_artist_folds_and_of_the_suggested_split(tmp_path):
    tracks, _ = write_fma(tmp_path / "fma", seconds=2.2)
    gone = max(track for track, row in tracks.items() if row[1] == "training")
    track_path(tmp_path / "fma", gone).unlink()
    text = execute("06_genres", tmp_path, {
        "data": str(tmp_path / "fma"), "out": str(tmp_path / "out"), "weights": "none", "seconds": 2.0, "folds": 3,
        "epochs": 1, "tries": 1, "filters": 32, "shares": "90", "cv": 2, "sets": "mfcc rhythm",
    })
    assert "23 recordings of 2 genres by 12 artists: Ballad, Dance" in text and f"{gone:06d}.mp3 is missing" in text
    assert "FMA: fma_small, its numbers of features.csv" in text
    assert "4 test recordings, 0 by artists of the other parts" in text and "518 numbers:" not in text
    assert len(pd.read_csv(tmp_path / "out" / "left_out.csv")) == 1
    folds, suggested = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("genres", "suggested"))
    assert len(folds) == len(suggested) == 5 + 9 + 2 + 1
    assert suggested["accuracy"].is_monotonic_decreasing and set(suggested["accuracy"] * 4) <= {0, 1, 2, 3, 4}
    assert suggested.set_index("method").loc["SVM, linear", "accuracy"] == 1
    sets = pd.read_csv(tmp_path / "out" / "sets.csv")
    assert sets["sets"].tolist() == ["all", "mfcc alone", "rhythm alone", "without mfcc", "without rhythm"]
