"""The HTTP API of the page: a recording is posted, the answer comes as JSON; with Gradio's client and without."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid

import numpy as np
import pytest
import soundfile
from lab.sounds import RATE, noisy_song, train_network

pytestmark = pytest.mark.slow
gradio_client = pytest.importorskip("gradio_client", reason="comes with Gradio: pip install -r requirements-lab.txt")


@pytest.fixture(scope="module")
def server(tmp_path_factory, make_once, short_run):
    """The address of a page with both systems, and the folder that its uploads are in."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "snippetkit", "app", "--network", make_once("song_network", train_network),
               "--singers", short_run, "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert "Ctrl-C" in process.stdout.readline()    # the page is ready, or the line is empty
        yield f"http://127.0.0.1:{port}", folder
        process.terminate()


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "noisy.wav"
    soundfile.write(path, noisy_song(1), RATE)
    return path


def read(address, content=None, **headers):
    request = urllib.request.Request(address, content, headers)
    return urllib.request.urlopen(request, timeout=60).read().decode()


def ask(address, endpoint, path):
    """What the README does with curl: send the file, post its place, read the answer."""
    border = uuid.uuid4().hex
    head = f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    content = head.encode() + path.read_bytes() + f"\r\n--{border}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
    place = json.loads(read(f"{address}/gradio_api/upload", content, **kind))[0]
    data = {"data": [{"path": place, "meta": {"_type": "gradio.FileData"}}]}
    call = f"{address}/gradio_api/call/{endpoint}"
    event = json.loads(read(call, json.dumps(data).encode(), **{"Content-Type": "application/json"}))["event_id"]
    return json.loads(read(f"{call}/{event}").split("data: ", 1)[1].splitlines()[0])[0]


def test_a_posted_recording_is_identified_and_deleted(server, song):
    address, folder = server
    answer = ask(address, "identify", song)
    assert answer["answer"] == next(iter(answer["top"])) == "middle" and len(answer["top"]) == 3
    assert answer["windows"][0]["start"] == 0 and answer["windows"][1]["start"] > 0
    assert not list(folder.rglob("*.wav"))


def test_the_client_is_told_who_sings(server, song):
    answer = gradio_client.Client(server[0], verbose=False).predict(
        gradio_client.handle_file(song), api_name="/who_sings"
    )
    assert sum(answer["top"].values()) == pytest.approx(1, abs=1e-3) and answer["answer"] in answer["top"]
    assert answer["notes"][0].startswith("Trained on synthetic songs")


def test_the_limits_of_the_page_hold(server, tmp_path):
    (tmp_path / "text.mp3").write_text("no music at all\n" * 50)
    soundfile.write(tmp_path / "long.mp3", np.zeros(130 * 8000) + 0.01, 8000)
    soundfile.write(tmp_path / "large.wav", np.zeros(15_000_000), RATE, subtype="PCM_16")
    assert "is not audio that can be decoded" in ask(server[0], "who_sings", tmp_path / "text.mp3")["error"]
    assert "lasts longer than 2 minutes" in ask(server[0], "identify", tmp_path / "long.mp3")["error"]
    with pytest.raises(urllib.error.URLError):      # 413, or the server closes the connection while the file is sent
        ask(server[0], "identify", tmp_path / "large.wav")


def test_files_of_the_server_cannot_be_asked_for(server, song):
    """Only what was sent may be read, and only that is deleted."""
    address, _ = server
    data = {"data": [{"path": str(song), "meta": {"_type": "gradio.FileData"}}]}
    call = f"{address}/gradio_api/call/identify"
    event = json.loads(read(call, json.dumps(data).encode(), **{"Content-Type": "application/json"}))["event_id"]
    assert "event: error" in read(f"{call}/{event}") and song.exists()
