"""The page in a real browser: upload, record from a microphone that plays a noisy song, and unusable files."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from lab.sounds import RATE, noisy_song, train_network

pytestmark = pytest.mark.slow

pytest.importorskip("gradio", reason="makes the page: pip install -r requirements-lab.txt")
sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("Chromium is not installed; on Debian: apt-get install chromium", allow_module_level=True)

WAIT = 60_000   # milliseconds


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with recordings: a noisy song, an hour, a text, and a large one."""
    folder = tmp_path_factory.mktemp("page")
    soundfile.write(folder / "noisy.wav", noisy_song(1), RATE)
    soundfile.write(folder / "hour.mp3", np.zeros(3600 * 8000) + 0.01, 8000)
    soundfile.write(folder / "large.wav", np.zeros(15_000_000), RATE, subtype="PCM_16")
    (folder / "text.mp3").write_text("no music at all\n" * 50)
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def address(sounds, make_once):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    network = make_once("song_network", train_network)
    command = [sys.executable, "-m", "snippetkit", "app", "--network", network, "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(sounds / "tmp")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert "Ctrl-C" in process.stdout.readline()    # the page is ready, or the line is empty
        yield f"http://127.0.0.1:{port}"
        process.terminate()
    assert not list((sounds / "tmp").glob("snippetkit-*")), "the folder of the recordings outlives the page"


@pytest.fixture(scope="module")
def browser(sounds):
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={sounds / 'noisy.wav'}",
        ])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address, sounds):
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Tell me").wait_for(timeout=WAIT)
    yield page
    context.close()
    (folder,) = (sounds / "tmp").glob("snippetkit-*")
    recordings = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".webp"]
    for path in recordings:
        path.unlink()       # so that only this test fails
    assert not recordings, "a recording outlives its answer"


def upload(page, path):
    page.get_by_role("button", name=re.compile("upload", re.I)).first.click()
    page.locator("input[type=file]").first.set_input_files(path)


def ask_until(page, answer):
    """Click the button until the recording has arrived; before that, the page says that there is none."""
    for _ in range(10):
        page.get_by_role("button", name="Tell me").click()
        with contextlib.suppress(sync_api.TimeoutError):
            return answer.wait_for(timeout=WAIT / 10)
    raise AssertionError(f"there is no {answer}; the page says: {page.locator('body').inner_text()}")


def test_an_uploaded_recording_is_identified_and_deleted(page, sounds):
    upload(page, sounds / "noisy.wav")
    ask_until(page, page.locator("h3", has_text="middle"))
    assert all(page.get_by_text(name, exact=True).count() for name in ("low", "middle", "high"))


def test_a_recording_from_the_microphone_is_identified_and_deleted(page):
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(7000)
    page.get_by_role("button", name="Stop", exact=True).click()
    # the first click comes before the recording has arrived, and must not lose it
    ask_until(page, page.locator("h3", has_text="middle"))


@pytest.mark.parametrize("name, message", [
    ("text.mp3", "is not audio that can be decoded"),
    ("hour.mp3", "lasts longer than 2 minutes"),
])
def test_an_unusable_recording_is_explained(page, sounds, name, message):
    upload(page, sounds / name)
    ask_until(page, page.get_by_text(message).first)


def test_a_large_file_is_refused(page, sounds):
    upload(page, sounds / "large.wav")
    page.get_by_text(re.compile("exceeds|too large|maximum", re.I)).first.wait_for(timeout=WAIT)
