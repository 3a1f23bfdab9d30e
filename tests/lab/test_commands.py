"""The lab's commands as a person types them: recordings of three formats, folders, and what cannot be answered."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from lab.sounds import RATE, trained_network, write_m4a

pytest.importorskip("av", reason="what decodes m4a: pip install -r requirements-lab.txt")


def identify(*arguments, **options):
    command = [sys.executable, "-m", "snippetkit", "identify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    data = trained_network(folder)
    return folder, data.songs[1] + np.random.default_rng(1).normal(0, 0.04, len(data.songs[1])).astype(np.float32)


def write(path, sound):
    if path.suffix == ".m4a":
        write_m4a(path, sound)
    else:
        best = {"bitrate_mode": "CONSTANT", "compression_level": 0.0} if path.suffix == ".mp3" else {}
        soundfile.write(path, sound, RATE, **best)
    return path


@pytest.mark.parametrize("name", ["recording.wav", "recording.mp3", "recording.m4a"])
def test_a_recording_is_named_with_its_rivals(network, tmp_path, name):
    folder, sound = network
    answer = identify(write(tmp_path / name, sound), "--network", folder)
    assert answer.returncode == 0, answer.stderr
    rows = [line.split(maxsplit=1) for line in answer.stdout.splitlines()]
    assert [title for _, title in rows][0] == "middle" and len(rows) == 3     # of three songs there are no five
    assert [float(number) for number, _ in rows] == sorted((float(number) for number, _ in rows), reverse=True)


def test_a_folder_becomes_a_table_with_its_faults_named(network, tmp_path):
    folder, sound = network
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    write(recordings / "a.m4a", sound)
    write(recordings / "a.wav", sound)      # of the same name, but for its suffix
    write(recordings / "b.wav", np.zeros(RATE))
    (recordings / "c.mp3").write_text("no music\n" * 99)
    answer = identify(recordings, "--network", folder, "--out", tmp_path / "table.csv")
    assert answer.returncode == 0, answer.stderr
    table = pd.read_csv(tmp_path / "table.csv").set_index("recording")
    assert table.loc["a.m4a", "song_1"] == "middle" and pd.isna(table.loc["a.m4a", "fault"])
    assert table.loc["a.m4a", "answer"] == table.loc["a.wav", "answer"] == "middle"
    assert "is silent" in table.loc["b.wav", "fault"] and "is not audio" in table.loc["c.mp3", "fault"]


@pytest.mark.parametrize("arguments, sentence", [
    (["nowhere.wav", "--network", "{network}"], "nowhere.wav cannot be read"),
    (["{network}", "--network", "{network}"], "contains no recordings"),
    (["some.wav", "--network", "empty"], "contains no network that knows songs. Run the notebook"),
])
def test_what_cannot_be_answered_is_a_sentence(network, tmp_path, arguments, sentence):
    answer = identify(*(each.format(network=network[0]) for each in arguments), cwd=tmp_path)
    assert answer.returncode == 1 and sentence in answer.stderr and "Traceback" not in answer.stderr


def test_a_long_recording_is_refused_before_it_is_decoded_to_its_end(network, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.full(700 * 8000, 0.01), 8000)
    answer = identify(tmp_path / "long.wav", "--network", network[0])
    assert answer.returncode == 1 and "is longer than 10 minutes" in answer.stderr


def test_a_work_folder_stands_for_its_best_network(network, tmp_path):
    folder, sound = network
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "dense").symlink_to(folder)
    (tmp_path / "networks.json").write_text('{"best": "dense", "table": []}')
    answer = identify(write(tmp_path / "recording.wav", sound), "--network", tmp_path)
    assert answer.returncode == 0 and answer.stdout.splitlines()[0].endswith("middle"), answer.stderr
