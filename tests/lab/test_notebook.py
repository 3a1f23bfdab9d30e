"""Notebook 05 from its first cell to its last, on a handful of songs; and the commands on what it leaves."""

import json

import nbformat
import papermill
import pytest

from snippetkit.lab.identify import demo
from snippetkit.lab.identify.comparison import best_network, chosen, fewer_songs
from snippetkit.utils.errors import KitError
from snippetkit.utils.paths import project_folder

pytestmark = pytest.mark.slow

NOTEBOOK = project_folder() / "notebooks" / "05_identify_songs.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identify")
    parameters = {
        "data": str(demo.make(folder / "sounds", songs=5, noises=8)), "out": str(folder / "out"),
        "models": "dense alexnet", "epochs": "2 1", "fragments": 8, "held_out": 4, "unknown": 2,
        "sizes": 2,     # as papermill understands -p sizes "2"
    }
    for name in ("first", "again"):
        papermill.execute_notebook(str(NOTEBOOK), str(folder / f"{name}.ipynb"), parameters, progress_bar=False)
    return folder


def test_it_ends_with_a_table_and_five_pictures(executed):
    left = json.loads((executed / "out" / "networks.json").read_text())
    assert [(row["model"], row["test"]) for row in left["table"]] == [
        (model, test) for model in ("dense", "alexnet")
        for test in ("other fragments", "simulated phone", "20 s by phone")
    ]
    assert sorted(path.name for path in (executed / "out" / "figures").glob("*.png")) == [
        "against_noise.png", "growth.png", "mixes.png", "top_five.png", "unknown.png",
    ]
    assert 0 <= json.loads((best_network(executed / "out") / "threshold.json").read_text())["threshold"] <= 1


def test_what_is_trained_is_not_trained_again(executed):
    first, again = (nbformat.writes(nbformat.read(executed / f"{name}.ipynb", 4)) for name in ("first", "again"))
    assert "member 00" in first and "member 00" not in again


def test_what_cannot_be_trained_is_refused_before_anything_is():
    assert chosen("dense", 3) == {"dense": 3} and fewer_songs("", 12) == [] and fewer_songs("2 4", 5) == [2, 4]
    for sizes in ("1", 5, "2 x"):
        with pytest.raises(KitError, match="sizes must lie from 2 to 4 songs"):
            fewer_songs(sizes, 5)
    with pytest.raises(KitError, match="models and epochs do not go together"):
        chosen("dense alexnet", 3)
    with pytest.raises(KitError, match="there is no model resnet51"):
        chosen("resnet51", 3)
