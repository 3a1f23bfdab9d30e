"""The page in a real browser: uploads, a microphone that plays a noisy song, examples, and unusable files."""

import json
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

from snippetkit.data.labels import CLASSES

pytestmark = pytest.mark.slow

pytest.importorskip("gradio", reason="makes the page: pip install -r requirements-lab.txt")
sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("Chromium is not installed; on Debian: apt-get install chromium", allow_module_level=True)

WAIT = 60_000   # milliseconds


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with recordings: a noisy song, its first three seconds, an hour, a text, and a large one."""
    folder = tmp_path_factory.mktemp("page")
    soundfile.write(folder / "noisy.wav", noisy_song(1), RATE)
    soundfile.write(folder / "short.wav", noisy_song(1)[: 3 * RATE], RATE)
    soundfile.write(folder / "hour.mp3", np.zeros(3600 * 8000) + 0.01, 8000)
    soundfile.write(folder / "large.wav", np.zeros(15_000_000), RATE, subtype="PCM_16")
    (folder / "text.mp3").write_text("no music at all\n" * 50)
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def address(sounds, make_once, short_run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    network = make_once("song_network", train_network)
    command = [
        sys.executable, "-m", "snippetkit", "app", "--network", network, "--singers", short_run, "--port", str(port),
    ]
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
    page.get_by_role("tab", name="Upload a file").wait_for(timeout=WAIT)
    yield page
    context.close()
    (folder,) = (sounds / "tmp").glob("snippetkit-*")
    recordings = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".webp"]
    for path in recordings:
        path.unlink()       # so that only this test fails
    assert not recordings, "a recording outlives its answer"


def upload(page, path):
    page.locator("input[type=file]").first.set_input_files(path)


def answer_to(page, question, caption):
    """The section that answers a question about the recording with this caption."""
    page.locator("figcaption", has_text=caption).wait_for(timeout=WAIT)
    return page.locator("section", has=page.get_by_role("heading", name=question))


def require_answer(section, names, windows):
    """One of the names with its percentage and colour, the five likeliest, and a timeline of several windows."""
    name, percentage = section.locator(".name").inner_text(), section.locator(".percentage").inner_text()
    shares = dict(row.split("\n") for row in section.locator(".shares li").all_inner_texts())
    assert shares[name] == percentage and set(shares) == set(names) and re.fullmatch(r"\d+%", percentage)
    colour = "getComputedStyle(element).borderLeftColor"
    bar = section.locator(".shares i").first.evaluate("element => getComputedStyle(element).backgroundColor")
    assert section.locator(".answer").evaluate(f"element => {colour}") == bar
    assert section.locator(".window").count() == (windows if windows > 1 else 0)
    assert section.locator(".timeline").count() == (windows > 1)


def require_sound(page, seconds):
    """The player under the answer plays, without help of the server."""
    player = page.locator("audio[src^='data:audio/mpeg']")
    player.evaluate("player => player.play()")
    page.wait_for_timeout(500)
    assert player.evaluate("player => player.duration") == pytest.approx(seconds, abs=0.1)
    assert player.evaluate("player => player.currentTime") > 0


def test_nothing_of_an_answer_is_visible_before_the_first_recording(page):
    assert page.locator("[aria-live=polite]:not([role])").inner_text() == ""
    assert page.locator("section, audio, figure, [role=alert], .plot-container, canvas:visible").count() == 0


def test_an_uploaded_recording_is_identified_and_deleted(page, sounds):
    upload(page, sounds / "noisy.wav")
    song = answer_to(page, "Which song is it?", "noisy.wav")
    assert song.locator(".name").inner_text() == "middle"
    require_answer(song, ["low", "middle", "high"], windows=6)
    require_answer(answer_to(page, "Who sings?", "noisy.wav"), CLASSES, windows=8)
    require_sound(page, 10)
    # a click on a timeline plays from there
    song.locator(".timeline").click()
    page.wait_for_timeout(500)
    assert 5 < page.locator("audio[src^=data]").evaluate("player => player.currentTime") < 7
    left = song.locator(".playhead").evaluate("mark => parseFloat(mark.style.left)")
    assert 50 < left < 70


def test_a_short_recording_replaces_the_answer_and_has_no_timeline(page, sounds):
    upload(page, sounds / "noisy.wav")
    assert answer_to(page, "Who sings?", "noisy.wav").locator(".timeline").count() == 1
    upload(page, sounds / "short.wav")
    require_answer(answer_to(page, "Who sings?", "short.wav"), CLASSES, windows=1)
    require_answer(answer_to(page, "Which song is it?", "short.wav"), ["low", "middle", "high"], windows=1)
    require_sound(page, 3)
    assert page.get_by_text("noisy.wav").count() == 0 and page.locator("audio").count() == 1


def test_the_answer_of_the_demo_says_what_it_is_worth(page, short_run, sounds):
    upload(page, sounds / "short.wav")
    notes = answer_to(page, "Who sings?", "short.wav").locator(".note").all_inner_texts()
    validation = json.loads((short_run / "report.json").read_text())["validation"]
    assert "Trained on synthetic songs" in notes[0] and f"accuracy: {validation['accuracy']:.0%}" in notes[1]


def test_an_example_is_answered_twice(page):
    for _ in range(2):      # it is not deleted as an upload is
        for name in ("no voice", "one male voice"):
            page.get_by_role("button", name=name).click()
            require_answer(answer_to(page, "Who sings?", name), CLASSES, windows=1)
    require_sound(page, 3)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page, sounds, width):
    page.set_viewport_size({"width": width, "height": 850})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    upload(page, sounds / "noisy.wav")
    answer = answer_to(page, "Who sings?", "noisy.wav").locator(".answer")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = answer.bounding_box()     # the page scrolls to the answer
    assert 0 <= box["y"] < 850 and 0 <= box["x"] and box["x"] + box["width"] <= width


def test_a_recording_from_the_microphone_is_identified_and_deleted(page):
    page.get_by_role("tab", name="Use the microphone").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(7000)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator(".name", has_text="middle").wait_for(timeout=WAIT)


def test_without_a_microphone_there_is_only_the_upload(page):
    page.get_by_role("tab", name="Use the microphone").wait_for(timeout=WAIT)
    page.add_init_script("navigator.mediaDevices.enumerateDevices = async () => []")
    page.reload()
    page.get_by_role("tab", name="Upload a file").wait_for(timeout=WAIT)
    page.wait_for_timeout(2000)
    assert page.get_by_role("tab").all_inner_texts() == ["Upload a file"]


@pytest.mark.parametrize("name, message", [
    ("text.mp3", "is not audio that can be decoded"),
    ("hour.mp3", "lasts longer than 2 minutes"),
])
def test_an_unusable_recording_is_explained(page, sounds, name, message):
    upload(page, sounds / name)
    page.get_by_role("alert").get_by_text(message).wait_for(timeout=WAIT)


def test_a_large_file_is_refused(page, sounds):
    upload(page, sounds / "large.wav")
    page.get_by_text(re.compile("exceeds|too large|maximum", re.I)).first.wait_for(timeout=WAIT)
