"""What the page deletes, and what it leaves alone; the page itself is tested in a browser."""

import socket
import subprocess
import sys

import pytest
from lab.sounds import trained_network

from snippetkit.lab.app import forget


def test_only_a_file_two_folders_down_is_deleted(tmp_path):
    uploads = tmp_path / "uploads"
    (uploads / "hash").mkdir(parents=True)
    kept = [tmp_path / "other", uploads / "near", uploads / "hash" / "also"]
    gone = uploads / "hash" / "recording.wav"
    for path in (*kept, gone):
        path.write_text("")
    for path in (tmp_path, uploads, uploads / "hash", kept[0], kept[1], uploads / ".." / "other", gone, gone):
        forget(path, uploads)
    assert not gone.exists() and all(path.exists() for path in kept)


@pytest.mark.parametrize("arguments, sentence", [
    (["--singers", "nowhere"], "Run the notebook 03_train_ensemble first"),
    (["--network", "nowhere"], "contains no network that knows songs. Run the notebook 05_identify_songs first"),
])
def test_a_page_about_nothing_is_a_sentence(tmp_path, arguments, sentence):
    refused(arguments, sentence, tmp_path)


@pytest.mark.slow
def test_a_page_that_nobody_could_reach_is_a_sentence(tmp_path):
    trained_network(tmp_path / "network")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(["--network", "network", "--port", port], f"cannot listen on 127.0.0.1:{port} (Address", tmp_path)
    refused(["--network", "network", "--host", "no.such.host.invalid"], "choose another --host", tmp_path)
    refused(["--network", "network", "--certificate", "no.pem"], "there is no certificate no.pem", tmp_path)


def refused(arguments, sentence, folder):
    pytest.importorskip("gradio", reason="what makes the page: pip install -r requirements-lab.txt")
    command = [sys.executable, "-m", "snippetkit", "app", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    assert result.returncode == 1 and sentence in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and "launch()" not in result.stderr
