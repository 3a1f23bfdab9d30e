"""The table of benchmarks, from real runs of the short ones; no time of theirs is judged."""

import pytest
from benchmarks import __main__ as benchmark

from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import read_json, write_json


@pytest.mark.slow
def test_the_table_has_machine_versions_and_spread_and_replaces_that_of_another_commit(small_demo, tmp_path, capsys):
    earlier = {"machine": {**benchmark._machine(), "kit": "another"}, "rows": [{"part": "songs"}]}
    write_json(tmp_path / "benchmarks.json", earlier)
    text = benchmark.run(small_demo, tmp_path, parts=["features"], rounds=2)
    assert "is from another commit, machine or version, and is replaced" in capsys.readouterr().err
    assert (tmp_path / "benchmarks.md").read_text() == text + "\n"
    results = read_json(tmp_path / "benchmarks.json")
    assert results["machine"]["cores"] >= 1 and results["machine"]["torch"]
    plain, kit, floor = results["rows"]
    assert [plain["way"], kit["way"]] == ["published, one process", "kit, all cores"]
    for row in results["rows"]:
        assert (row["part"], row["unit"], row["rounds"], row["count"]) == ("features", "clip", 2, 32)
        assert 0 < row["low"] <= row["median"] <= row["high"] and row["memory"] > 0.05
    assert plain["ratio"] == 1 and floor["is_floor"] and not kit["is_floor"] and kit["over_floor"] > 0
    assert f"| features, a clip | kit, all cores | {kit['median']:.3g} |" in text and "| (the floor) |" in text


@pytest.mark.slow
def test_one_that_fails_is_named_and_earlier_rows_are_kept(tmp_path):
    earlier = {"machine": benchmark._machine(), "rows": [{"part": "songs"}]}
    write_json(tmp_path / "benchmarks.json", earlier)
    sentence = "(?s)failed with status 1: .*no train clips.*The benchmarks that succeeded are in .*benchmarks.md"
    with pytest.raises(KitError, match=sentence):
        benchmark.run(tmp_path, tmp_path, parts=["features"], rounds=1)
    assert read_json(tmp_path / "benchmarks.json") == earlier


def test_unknown_benchmark_is_refused(tmp_path):
    with pytest.raises(KitError, match="there is no benchmark speed; choose among features, pretrained, epoch"):
        benchmark.run(tmp_path, tmp_path, parts=["speed"])
