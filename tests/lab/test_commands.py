"""The lab's commands: recordings in three formats, folders, refusals, and what the page deletes."""

import socket

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner
from conftest import run_kit
from lab.sounds import RATE, noisy_song, train_network, write

from snippetkit.__main__ import main

pytest.importorskip("av", reason="decodes m4a: pip install -r requirements-lab.txt")


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def network(make_once):
    return make_once("song_network", train_network)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_a_recording_is_identified(network, tmp_path, suffix):
    result = invoke("identify", write(tmp_path / f"recording.{suffix}", noisy_song(1)), "--network", network)
    assert result.exit_code == 0, result.output
    *songs, over_time = result.stdout.splitlines()
    probabilities, names = zip(*map(str.split, songs))
    assert over_time.startswith("over time: after 9 s middle (0.")
    assert names[0] == "middle" and len(names) == 3     # there are only three songs
    assert list(map(float, probabilities)) == sorted(map(float, probabilities), reverse=True)


def test_a_folder_becomes_a_table_that_names_the_faults(network, tmp_path):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name in ("a.m4a", "a.wav"):     # different files, although the stem is the same
        write(recordings / name, noisy_song(1))
    write(recordings / "b.wav", np.zeros(RATE))
    (recordings / "c.mp3").write_text("no music\n" * 99)
    result = invoke("identify", recordings, "--network", network, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "table.csv").set_index("recording")
    assert table.loc["a.m4a", "song_1"] == "middle" and pd.isna(table.loc["a.m4a", "fault"])
    assert table.loc["a.m4a", "answer"] == table.loc["a.wav", "answer"] == "middle"
    assert "is silent" in table.loc["b.wav", "fault"] and "is not audio" in table.loc["c.mp3", "fault"]


def test_a_work_folder_stands_for_its_best_network(network, tmp_path):
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "dense").symlink_to(network)
    (tmp_path / "networks.json").write_text('{"best": "dense", "table": []}')
    result = run_kit("identify", write(tmp_path / "recording.wav", noisy_song(1)), "--network", tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[0].endswith("middle"), result.stderr


@pytest.mark.parametrize("arguments, message", [
    (["identify", "nowhere.wav", "--network", "NETWORK"], "nowhere.wav cannot be read"),
    (["identify", "empty", "--network", "NETWORK"], "holds no recordings"),
    (["identify", "some.wav", "--network", "empty"], "holds no trained song network"),
    (["identify", "long.wav", "--network", "NETWORK"], "lasts longer than 10 minutes"),
    (["app", "--singers", "nowhere", "--port", "0"], "nowhere is not the work folder of a run"),
    (["app", "--network", "nowhere"], "holds no trained song network"),
    (["app", "--singers", "nowhere", "--port", "TAKEN"], "the page cannot use 127.0.0.1:TAKEN (Address"),
    (["app", "--singers", "nowhere", "--host", "no.such.host.invalid"], "Choose another --host"),
    (["app", "--singers", "nowhere", "--certificate", "no.pem"], "'no.pem' does not exist"),
])
def test_wrong_input_is_one_message(network, tmp_path, monkeypatch, arguments, message):
    pytest.importorskip("gradio", reason="makes the page: pip install -r requirements-lab.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))    # `serve` sets it for its process
    (tmp_path / "empty").mkdir()
    soundfile.write("long.wav", np.full(700 * 8000, 0.01), 8000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = {"NETWORK": network, "TAKEN": taken.getsockname()[1]}
        result = invoke(*(words.get(argument, argument) for argument in arguments))
    assert result.exit_code and isinstance(result.exception, SystemExit)
    assert message.replace("TAKEN", str(words["TAKEN"])) in result.stderr


def test_the_page_deletes_only_files_two_folders_below_its_uploads(tmp_path):
    from snippetkit.lab.page.app import delete_upload

    uploads = tmp_path / "uploads"
    recording, *others = files = [uploads / "hash" / "recording.wav", tmp_path / "other", uploads / "near"]
    recording.parent.mkdir(parents=True)
    for path in files:
        path.touch()
    for path in (tmp_path, uploads, uploads / "hash", *others, uploads / ".." / "other", recording, recording):
        delete_upload(path, uploads)
    assert not recording.exists() and all(path.exists() for path in others)
