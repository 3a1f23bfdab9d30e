"""Notebook 05 from the first cell to the last, on a handful of songs, twice."""

import json

import pytest
from lab.notebooks import execute

from snippetkit.lab.identify import demo
from snippetkit.lab.identify.comparison import parse_models, parse_numbers, parse_sizes
from snippetkit.lab.identify.recogniser import Recogniser, find_network
from snippetkit.utils.errors import KitError


@pytest.mark.slow
def test_the_notebook_leaves_a_table_and_six_pictures_and_trains_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "PIECES", 4)      # of 3 seconds in a song
    parameters = {
        "data": str(demo.make(tmp_path / "sounds", songs=5, noises=8, jobs=1)), "out": str(tmp_path / "out"),
        "models": "dense alexnet", "epochs": "2 1", "fragments": 8, "held_out": 2, "unknown": 2,
        "sizes": 2,     # papermill reads -p sizes "2" as a number
    }
    first, again = (execute("05_identify_songs", tmp_path, parameters) for _ in range(2))
    assert "member 00" in first and "member 00" not in again
    rows = json.loads((tmp_path / "out" / "networks.json").read_text())["table"]
    assert [row["model"] for row in rows] == ["dense"] * 3 + ["alexnet"] * 3
    assert [row["test"] for row in rows] == ["other fragments", "simulated phone", "20 s by phone"] * 2
    assert sorted(path.name for path in (tmp_path / "out" / "figures").glob("*.png")) == [
        "against_noise.png", "growth.png", "index.png", "mixes.png", "top_five.png", "unknown.png",
    ]
    assert 0 < Recogniser(find_network(tmp_path / "out")).threshold <= 1


@pytest.mark.parametrize("given, message", [
    ({"unknown": 1}, "unknown=1 is too small. Give 2 or more"), ({"unknown": None}, "unknown=0 is too small"),
    ({"fragments": 0}, "fragments=0 is too small. Give 1"), ({"held_out": "x"}, "held_out='x' is not a whole number"),
    ({"snr": 20}, "snr=20 is not a range"), ({"snr": "20 -5"}, "snr='20 -5' is not a range"),
    ({"snr": "a b"}, "snr='a' is not a number"),
])
def test_number_that_would_stop_the_notebook_later_is_refused(given, message):
    wanted = {"snr": [-5, 20], "fragments": "50", "held_out": 8.0, "unknown": 4}
    mix, counts = parse_numbers(**wanted)
    assert mix.snr == (-5, 20) and counts == {"fragments": 50, "held_out": 8, "unknown": 4}
    with pytest.raises(KitError, match=message):
        parse_numbers(**{**wanted, **given})


def test_wrong_parameters_are_refused():
    assert parse_models("dense", 3)["dense"].epochs == 3    # papermill reads a single number as an int
    assert list(parse_models(["dense", "alexnet"], [3, 2])) == ["dense", "alexnet"] and parse_sizes(None, 12) == []
    assert parse_sizes("", 12) == [] and parse_sizes("2 4", 5) == [2, 4]
    for sizes in ("1", 5, "2 x"):
        with pytest.raises(KitError, match="sizes must be between 2 and 4 songs"):
            parse_sizes(sizes, 5)
    for models, epochs, message in [
        ("dense alexnet", 3, "do not match"), ("dense", "x", "do not match"), ("dense", 0, "do not match"),
        ("resnet51", 3, "there is no model resnet51. Choose among resnet34,"),
    ]:
        with pytest.raises(KitError, match=message):
            parse_models(models, epochs)
