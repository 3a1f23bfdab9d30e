"""The commands of the command line, and their messages for mistakes."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from snippetkit.__main__ import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_labels_are_converted_to_npz(tmp_path):
    (tmp_path / "label.txt").write_text("3\n0\n1\n")
    assert run("labels", tmp_path / "label.txt").exit_code == 0
    assert np.load(tmp_path / "train_label.npz")["labels"].tolist() == [3, 0, 1]


def test_sort_makes_one_folder_per_class(small_demo, small_competition, tmp_path):
    assert run("sort", small_demo, tmp_path, "--link").exit_code == 0
    names = ["0_no_voice", "1_one_male_voice", "2_one_female_voice", "3_more_than_one_voice"]
    counts = [len(list((tmp_path / name).iterdir())) for name in names]
    assert counts == np.bincount(small_competition.labels).tolist()


def test_sample_submission_has_a_row_per_clip(small_demo, tmp_path):
    assert run("sample-submission", small_demo / "test_mp3s", tmp_path / "sample.csv").exit_code == 0
    assert (tmp_path / "sample.csv").read_text() == "id,category\n" + "".join(f"{i},1\n" for i in range(8))


def test_figures_draws_each_clip_unless_two_have_the_same_name(small_demo, tmp_path):
    clips = [small_demo / "test_mp3s" / f"{i}.mp3" for i in (2, 5)]
    assert run("figures", *clips, "--out", tmp_path).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.png", "5.png"]
    result = run("figures", *clips, small_demo / "train_mp3s" / "2.mp3", "--out", tmp_path)
    assert result.exit_code == 1 and "two clips have the same name" in result.output


def test_check_lists_every_bad_clip(small_demo, tmp_path):
    (tmp_path / "mine.mp3").write_bytes((small_demo / "test_mp3s" / "0.mp3").read_bytes())
    assert "All 1 clips are good" in run("check", tmp_path).output
    (tmp_path / "3.mp3").write_bytes(b"")
    (tmp_path / "4.mp3").write_text("no sound")
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert "3.mp3 is empty" in result.output and "4.mp3 is not audio" in result.output and "2 of 3" in result.output


def test_features_are_imported_and_exported(small_demo, tmp_path):
    for i in range(8):
        np.savez(tmp_path / f"{i}feature.npz", np.full((299, 40), float(i)))
    command = ["import-features", tmp_path, "test", "--data", small_demo, "--out", tmp_path / "out"]
    result = run(*command, "--set", "separator=torch")
    assert result.exit_code == 1 and "imported features need no separation" in result.output
    assert run(*command).exit_code == 0
    array = tmp_path / "out" / "features" / "test.npy"
    assert np.load(array)[:, 0, 0].tolist() == list(range(8))
    assert run("export-features", array, tmp_path / "exported").exit_code == 0
    assert len(list((tmp_path / "exported").iterdir())) == 8


@pytest.mark.slow
def test_separators_agree(package_weights, small_demo):
    result = run("compare-separators", small_demo / "train_mp3s" / "0.mp3", "--weights", package_weights)
    assert result.exit_code == 0, result.output
    lines = {line[:17].strip(): line[17:] for line in result.output.splitlines()}
    assert float(lines["difference"].split()[0]) >= 90 and float(lines[""].split()[0]) >= 90
    assert lines["vocals, torch"] == lines["vocals, spleeter"]
    assert -60 < float(lines["vocals, torch"].split()[0]) < float(lines["mixture"].split()[0])


@pytest.mark.slow
def test_separators_that_differ_are_an_error(weights, small_demo, tmp_path, monkeypatch):
    other = tmp_path / "python"     # stands in for a package that computes something else
    other.write_text(
        f"#!{sys.executable}\nimport numpy as np\nprint('ready', flush=True)\n"
        "mixture, vocals = input().split('\\t')\nnp.save(vocals, 0.5 * np.load(mixture))\nprint('done', flush=True)\n"
    )
    other.chmod(0o755)
    monkeypatch.setenv("SPLEETER_PYTHON", str(other))
    result = run("compare-separators", small_demo / "train_mp3s" / "0.mp3", "--weights", weights)
    assert result.exit_code == 1
    assert "more than rounding: 90 dB below the vocals or 100 dB below the mixture was expected" in result.output


@pytest.mark.parametrize("arguments, message", [
    (["check", "nowhere"], "the folder nowhere cannot be read: No such file"),
    (["labels", "nowhere.txt"], "nowhere.txt cannot be read: No such file"),
    (["figures", "nowhere.mp3"], "nowhere.mp3 cannot be read: No such file"),
    (["sample-submission", "nowhere", "sample.csv"], "the folder nowhere cannot be read: No such file"),
    (["run", "--data", "nowhere"], "there is no data folder /"),
    (["compare-separators", "nowhere.mp3", "--weights", "nowhere"], "nowhere.mp3 cannot be read: No such file"),
    (["identify", ".", "--out", "."], ". is a folder. Give the name of a table"),
    (["kaggle", "push", "--build", "build"], "contains no build for Kaggle"),
    (["export-features", "nowhere.npy", "out"], "no complete features at nowhere.npy"),
])
def test_mistake_gives_a_message_and_no_traceback(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "kit").mkdir(parents=True)    # a build of which only the first part is there
    (tmp_path / "build" / "kit" / "dataset-metadata.json").write_text('{"id": "me/kit"}')
    result = run(*arguments)
    assert result.exit_code != 0 and message in result.output
    assert "Traceback" not in result.output


def test_home_folder_and_names_that_are_not_utf8(small_demo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    odd = tmp_path / "f\udcff"
    shutil.copytree(small_demo / "test_mp3s", odd)
    for arguments in (
        ["figures", "~/f\udcff/0.mp3", "--out=~/p"], ["figures", odd / "0.mp3", "--out", odd], ["check", odd],
        ["sample-submission", odd, "~/s.csv"], ["sort", small_demo, "~/sorted\udcff"], ["compare", odd, "~/none"],
        ["import-features", "~/none", "test", f"--data={small_demo}", "--out=~/o"],
        ["run", "--data", small_demo, "--out=~/f\udcff"], ["kaggle", "push", "--build=~/b\udcff"],
        ["compare-separators", odd, "--weights=~/w"], ["identify", "~/none.wav", "--network=~/f\udcff"],
    ):
        result = run(*arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "~" not in result.output
    made = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert made == {"f\udcff", "p", "s.csv", "o", "sorted\udcff"}


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys, snippetkit.__main__ as kit\n"
        "kit.main(['--help'], standalone_mode=False)\nprint({'torch', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "sample-submission" in result.stdout and result.stdout.splitlines()[-1] == "set()"


def test_help_lists_every_command_once_with_a_whole_sentence():
    text = CliRunner().invoke(main, ["--help"]).output
    for name, command in main.commands.items():
        assert len(re.findall(rf"^  {name} ", text, re.MULTILINE)) == 1, name
        assert command.get_short_help_str(limit=200).endswith("."), name
    assert text.count("...") == 1, "only that of the usage line"
    assert "Run and use:" in text and "Plugins:" in text
