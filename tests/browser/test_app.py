"""The page in a real browser: upload, record from a microphone that plays a noisy fragment, and wrong files."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from lab.sounds import RATE, trained_network

from snippetkit.utils.paths import project_folder

pytest.importorskip("gradio", reason="what makes the page: pip install -r requirements-lab.txt")
sync_api = pytest.importorskip("playwright.sync_api", reason="what drives the browser: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("there is no Chromium here; on Debian: apt-get install chromium", allow_module_level=True)

PICTURES = project_folder() / "test-output"
WAIT = 60_000   # milliseconds


pytestmark = pytest.mark.slow

@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with a network that knows three songs, and recordings of the second: noisy, silent, wrong, too long."""
    folder = tmp_path_factory.mktemp("page")
    data = trained_network(folder / "network")
    noisy = data.songs[1] + np.random.default_rng(1).normal(0, 0.04, len(data.songs[1]))
    soundfile.write(folder / "noisy.wav", noisy, RATE)
    soundfile.write(folder / "silent.wav", np.zeros(5 * RATE), RATE)
    soundfile.write(folder / "hour.mp3", np.zeros(3600 * 8000) + 0.01, 8000)
    (folder / "text.mp3").write_text("no music at all\n" * 50)
    return folder


@pytest.fixture(scope="module")
def address(sounds):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "snippetkit", "app", "--network", sounds / "network", "--port", str(port)]
    (sounds / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(sounds / "tmp")}
    with open(sounds / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, (sounds / "log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)
    assert not list((sounds / "tmp").glob("snippetkit-*")), "what is uploaded outlives the page"


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
    for path in (sounds / "tmp").glob("snippetkit-*/**/*.*"):
        if path.is_file():      # left by a test that failed, and none of this one's business
            path.unlink()
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Tell me").wait_for(timeout=WAIT)
    yield page
    context.close()


def upload(page, path):
    page.get_by_role("button", name=re.compile("upload", re.I)).first.click()
    page.locator("input[type=file]").first.set_input_files(path)


def ask_until(page, answer, *, seconds=60):
    """Until what was uploaded or recorded has arrived, the page says that there is no recording yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        page.get_by_role("button", name="Tell me").click()
        with contextlib.suppress(sync_api.TimeoutError):
            answer.wait_for(timeout=WAIT / 10)
            return
    raise AssertionError(f"there is no {answer}; the page says: {page.locator('body').inner_text()}")


def uploads(sounds):
    """What is left of uploads on the disk."""
    folders = list((sounds / "tmp").glob("snippetkit-*"))
    assert folders, "they are somewhere else"
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".webp"]


def test_an_uploaded_recording_is_named_and_gone(page, sounds):
    upload(page, sounds / "noisy.wav")
    ask_until(page, page.locator("h3", has_text="middle"))
    for name in ("low", "middle", "high"):
        assert page.get_by_text(name, exact=True).count()
    page.wait_for_timeout(500)
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / "app.png", full_page=True)
    assert not uploads(sounds)


def test_what_the_microphone_hears_is_named_and_gone(page, sounds):
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(7000)
    page.get_by_role("button", name="Stop", exact=True).click()
    # asked at once, before what was recorded can have arrived: which must not lose it
    ask_until(page, page.locator("h3", has_text="middle"))
    page.screenshot(path=PICTURES / "app_microphone.png", full_page=True)
    assert not uploads(sounds)


@pytest.mark.parametrize("name, sentence", [
    ("text.mp3", "is not audio that can be decoded"),
    ("hour.mp3", "is longer than 2 minutes"),
    ("silent.wav", "is silent"),
])
def test_what_cannot_be_recognised_is_a_sentence(page, sounds, name, sentence):
    upload(page, sounds / name)
    ask_until(page, page.get_by_text(sentence).first)
    assert not uploads(sounds)


def test_a_file_that_is_too_large_is_refused(page, sounds):
    soundfile.write(sounds / "large.wav", np.zeros(15_000_000), RATE, subtype="PCM_16")
    page.get_by_role("button", name=re.compile("upload", re.I)).first.click()
    page.locator("input[type=file]").first.set_input_files(sounds / "large.wav")
    page.get_by_text(re.compile("exceeds|too large|maximum", re.I)).first.wait_for(timeout=WAIT)
    assert not uploads(sounds)
