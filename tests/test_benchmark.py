"""The table of benchmarks, from real runs of the short ones; no time of theirs is judged."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import __main__ as benchmark

from snippetkit import audio
from snippetkit.filterbank import log_mel
from snippetkit.utils.errors import KitError


@pytest.mark.slow
def test_the_table_is_written_twice_with_machine_versions_and_spread(small_demo, tmp_path):
    text = benchmark.run(small_demo, tmp_path, parts=["features"], rounds=2)
    assert (tmp_path / "benchmarks.md").read_text() == text + "\n"
    found = json.loads((tmp_path / "benchmarks.json").read_text())
    assert found["machine"]["cores"] >= 1 and found["machine"]["torch"]
    plain, kit, floor = found["rows"]
    assert [row["way"] for row in found["rows"]][:2] == ["published, one process", "kit, all cores"]
    for row in found["rows"]:
        assert (row["part"], row["unit"], row["rounds"], row["count"]) == ("features", "clip", 2, 32)
        assert 0 < row["low"] <= row["median"] <= row["high"] and row["memory"] > 0.05
    assert plain["ratio"] == 1 and floor["is_floor"] and not kit["is_floor"] and kit["over_floor"] > 0
    assert f"| features, a clip | kit, all cores | {kit['median']:.3g} |" in text and "| (the floor) |" in text


@pytest.mark.slow
def test_rows_of_another_commit_are_not_kept(small_demo, tmp_path, capsys):
    machine = {**benchmark._machine(), "kit": "another"}
    row = {"part": "songs", "unit": "clip", "way": "listening"}
    (tmp_path / "benchmarks.json").write_text(json.dumps({"machine": machine, "rows": [row]}))
    benchmark.run(small_demo, tmp_path, parts=["features"], rounds=1)
    assert {row["part"] for row in json.loads((tmp_path / "benchmarks.json").read_text())["rows"]} == {"features"}
    assert "is from another commit, machine or version, and is replaced" in capsys.readouterr().err


@pytest.mark.slow
def test_one_that_fails_is_named_and_what_was_there_is_kept(small_demo, tmp_path, monkeypatch):
    benchmark.run(small_demo, tmp_path / "out", parts=["features"], rounds=1)
    before = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    sentence = "(?s)failed with status 1: .*no train clips.*The benchmarks that succeeded are in .*benchmarks.md"
    with pytest.raises(KitError, match=sentence):
        benchmark.run(tmp_path, tmp_path / "out", parts=["features"], rounds=1)
    assert json.loads((tmp_path / "out" / "benchmarks.json").read_text()) == before


def test_the_plain_way_gives_the_features_that_the_kit_gives(small_competition, monkeypatch):
    folder = Path(__file__).parent / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location("features_benchmark", folder / "features.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for clip in list(small_competition.train)[:4]:
        # in dB; the plain way lifts the high frequencies in float32
        np.testing.assert_allclose(script.published_features(clip), log_mel(audio.load(clip)), atol=1e-3)


def test_an_unknown_one_is_a_sentence(tmp_path):
    with pytest.raises(KitError, match="there is no benchmark speed; choose among features, epoch"):
        benchmark.run(tmp_path, tmp_path, parts=["speed"])
