import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from snippetkit.__main__ import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_labels_become_an_archive(tmp_path):
    (tmp_path / "label.txt").write_text("3\n0\n1\n")
    assert run("labels", tmp_path / "label.txt").exit_code == 0
    assert np.load(tmp_path / "train_label.npz")["labels"].tolist() == [3, 0, 1]


def test_sort_makes_a_folder_a_class(small_demo, small_competition, tmp_path):
    assert run("sort", small_demo, tmp_path / "sorted", "--link").exit_code == 0
    counts = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "sorted").iterdir()}
    expected = np.bincount(small_competition.labels).tolist()
    names = ["0_no_voice", "1_one_male_voice", "2_one_female_voice", "3_more_than_one_voice"]
    assert counts == dict(zip(names, expected))


def test_a_sample_submission_for_a_folder_of_clips(small_demo, tmp_path):
    assert run("sample-submission", small_demo / "test_mp3s", tmp_path / "sample.csv").exit_code == 0
    assert (tmp_path / "sample.csv").read_text() == "id,category\n" + "".join(f"{i},1\n" for i in range(8))


def test_pictures_of_chosen_clips(small_demo, tmp_path):
    clips = [small_demo / "test_mp3s" / f"{i}.mp3" for i in (2, 5)]
    assert run("figures", *clips, "--out", tmp_path).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.png", "5.png"]


def test_check_lists_every_bad_clip(copied_demo):
    assert "all 32 clips are sound" in run("check", copied_demo).output
    (copied_demo / "train_mp3s" / "3.mp3").write_bytes(b"")
    (copied_demo / "test_mp3s" / "4.mp3").write_text("no sound")
    result = run("check", copied_demo)
    assert result.exit_code == 1
    assert "3.mp3 is empty" in result.output and "4.mp3 is not audio" in result.output and "2 of 32" in result.output


def test_check_needs_clips_only(small_demo, tmp_path):
    (tmp_path / "mine.mp3").write_bytes((small_demo / "test_mp3s" / "0.mp3").read_bytes())
    assert "all 1 clips are sound" in run("check", tmp_path).output


def test_two_pictures_of_one_name_are_refused(small_demo, tmp_path):
    clips = [small_demo / split / "0.mp3" for split in ("train_mp3s", "test_mp3s")]
    result = run("figures", *clips, "--out", tmp_path)
    assert result.exit_code == 1 and "have the same name" in result.output


def test_features_are_imported_for_a_run(small_demo, tmp_path):
    folder = tmp_path / "npz"
    folder.mkdir()
    for i in range(8):
        np.savez(folder / f"{i}feature.npz", np.full((299, 40), float(i)))
    result = run("import-features", folder, "test", "--data", small_demo, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "out" / "features" / "test.npy")[:, 0, 0].tolist() == list(range(8))
    assert run("export-features", tmp_path / "out" / "features" / "test.npy", tmp_path / "again").exit_code == 0
    assert len(list((tmp_path / "again").iterdir())) == 8


@pytest.mark.slow
def test_the_two_separators_are_compared(package_weights, small_demo, tmp_path):
    result = run("compare-separators", small_demo / "train_mp3s" / "0.mp3", "--weights", package_weights)
    assert result.exit_code == 0, result.output
    lines = {line[:17].strip(): line[17:] for line in result.output.splitlines()}
    assert float(lines["SNR"].split()[0]) >= 90
    assert lines["vocals, torch"] == lines["vocals, spleeter"]
    assert -60 < float(lines["vocals, torch"].split()[0]) < float(lines["mixture"].split()[0])


@pytest.mark.slow
def test_separators_that_disagree_are_an_error(weights, small_demo, tmp_path, monkeypatch):
    other = tmp_path / "python"     # a package that computes something else
    other.write_text(
        f"#!{sys.executable}\nimport numpy as np\nprint('ready', flush=True)\n"
        "mixture, vocals = input().split('\\t')\nnp.save(vocals, 0.5 * np.load(mixture))\nprint('done', flush=True)\n"
    )
    other.chmod(0o755)
    monkeypatch.setenv("SPLEETER_PYTHON", str(other))
    result = run("compare-separators", small_demo / "train_mp3s" / "0.mp3", "--weights", weights)
    assert result.exit_code == 1
    assert "the two differ by more than rounding: 90 dB or more were expected" in result.output


@pytest.mark.parametrize("arguments, sentence", [
    (["check", "nowhere"], "no MP3s found below nowhere"),
    (["labels", "nowhere.txt"], "nowhere.txt cannot be read: No such file"),
    (["figures", "nowhere.mp3"], "nowhere.mp3 cannot be read: No such file"),
    (["sample-submission", "nowhere", "sample.csv"], "no clips found in nowhere"),
    (["run", "--data", "nowhere"], "there is no data folder nowhere"),
    (["compare-separators", "nowhere.mp3", "--weights", "nowhere"], "nowhere.mp3 cannot be read: No such file"),
    (["run", "--members", "many"], "'many' is not a valid integer"),
    (["export-features", "nowhere.npy", "out"], "no complete features at nowhere.npy"),
])
def test_a_mistake_is_one_sentence_and_no_traceback(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code != 0 and sentence in result.output
    assert "Traceback" not in result.output


def test_help_does_not_wait_for_torch():
    code = "import sys, snippetkit.__main__; print('torch' in sys.modules, 'numpy' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.split() == ["False", "False"]
    shown = subprocess.run([sys.executable, "-m", "snippetkit", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and "sample-submission" in shown.stdout
