"""Parameters as papermill and people give them: their types, and mistakes that are found before any work."""

import os

import pytest
from click.testing import CliRunner

from snippetkit.__main__ import main
from snippetkit.run.parameters import read_parameters
from snippetkit.utils.errors import KitError
from snippetkit.utils.parameters import flag


@pytest.mark.parametrize("given, expected", [
    ({"data": 2024, "out": 20240131, "weights": 1.5}, {"data": "2024", "out": "20240131", "weights": "1.5"}),
    ({"data": None, "songs": None, "weights": None}, {"data": "", "songs": "", "weights": ""}),
    ({"out": "~/o", "data": "~nobody at all/x"}, {"out": os.path.expanduser("~/o"), "data": "~nobody at all/x"}),
    ({"settings": ["epochs=3", "lr=0.1"]}, {"settings": "epochs=3 lr=0.1"}),
    ({"settings": {"epochs": 3, "standardise": True}}, {"settings": "epochs=3 standardise=True"}),
    ({"settings": None, "cluster": None}, {"settings": "", "cluster": ""}),
    ({"beside": "a, ~/b,"}, {"beside": ["a", os.path.expanduser("~/b")]}),
    ({"beside": ["a,b", "c"]}, {"beside": ["a,b", "c"]}),
    ({"beside": None}, {"beside": []}),
    ({"members": "3", "epochs": 2.0, "max_hours": "1.5"}, {"members": 3, "epochs": 2, "max_hours": 1.5}),
    ({"members": None, "epochs": "", "neighbours": None}, {"members": 0, "epochs": 0, "neighbours": 0.0}),
])
def test_parameters_have_their_types_whatever_papermill_makes_of_them(given, expected):
    assert vars(read_parameters(recipe="published", **{"settings": "", **given})).items() >= expected.items()


@pytest.mark.parametrize("given, message", [
    ({"data": "d\udcff"}, r"the name b'd\\xff' is not UTF-8, as notebooks need. Rename it"),
    ({"members": 2.5}, "members=2.5 is not a whole number"), ({"epochs": True}, "epochs=True is not a whole number"),
    ({"epochs": [3]}, r"epochs=\[3\] is not a whole number"), ({"neighbours": "x"}, "neighbours='x' is not a number"),
    ({"neighbours": float("nan")}, "neighbours=nan is not a number"), ({"neighbours": 2}, "neighbours=2.0 is out of"),
    ({"members": float("inf")}, "members=inf is not a whole number"), ({"max_hours": -1}, "is not a number of hours"),
    ({"recipe": None}, "there is no recipe ''"), ({"settings": 3}, "setting '3' is invalid"),
    ({"on_bad": "skp"}, "on_bad='skp' is unknown"), ({"cluster": "foo"}, "cluster 'foo' is invalid"),
    ({"songs": "typo.csv"}, "typo.csv cannot be read"),
])
def test_parameter_that_cannot_be_right_is_refused(given, message):
    with pytest.raises(KitError, match=message):
        read_parameters(**{"recipe": "published", "settings": "", **given})


@pytest.mark.parametrize("options, message", [
    (["--songs", "{songs}"], "has no song for the train clips 1, 2, 3"),
    (["--cluster", "dask://127.0.0.1:9"], "no Dask scheduler answers"),
    (["--weights", "."], "weights are given, but separator is none"),
    (["--set", "separator=torch", "--weights", "."], "contains no weights of Spleeter"),
    (["--on-bad", "skp"], "on_bad='skp' is unknown"),
    (["--max-hours", "nan"], "max_hours=nan is not a number"),
])
def test_run_that_would_fail_later_is_refused_before_anything_is_made(
    small_demo, tmp_path, monkeypatch, options, message
):
    if "--cluster" in options:
        pytest.importorskip("distributed", reason="a Dask cluster needs its package: pip install distributed")
    monkeypatch.setattr("snippetkit.utils.parallel._DASK_TIMEOUT", 1)
    (tmp_path / "songs.csv").write_text("id,song\n0,a\n")
    options = [option.replace("{songs}", str(tmp_path / "songs.csv")) for option in options]
    arguments = [
        "run", "--data", str(small_demo), "--out", str(tmp_path / "out"), "--recipe", "published",
        "--set", "separator=none", *options,
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1 and message in result.output and "Traceback" not in result.output
    assert not list(tmp_path.glob("out/*"))


def test_flag_is_read_from_words():
    assert [flag("page", value) for value in (True, "true", "False", None, 0)] == [True, True, False, False, False]
    with pytest.raises(KitError, match="page='maybe' is not true or false"):
        flag("page", "maybe")
