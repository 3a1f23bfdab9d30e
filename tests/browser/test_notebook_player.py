"""The line of a picture follows the player below it, in a real browser."""

import shutil

import numpy as np
import pytest

from snippetkit.figures.canvas import save, subplots
from snippetkit.notebook import player_below

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="a browser test: pip install playwright")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_the_line_is_where_the_sound_is(tmp_path):
    figure, axis = subplots(1, 1, size=(4, 2))
    axis.set_xlim(0, 2)
    shown = player_below(figure, save(figure, tmp_path / "picture.png"), (np.zeros(16_000), 8_000))
    (tmp_path / "page.html").write_text(shown.data)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        position = "() => parseFloat(document.querySelector('span').style.left)"
        assert page.evaluate(position) == pytest.approx(100 * axis.get_position().x0, abs=0.01)
        page.evaluate("() => { document.querySelector('audio').currentTime = 1 }")
        middle = 100 * (axis.get_position().x0 + axis.get_position().x1) / 2
        page.wait_for_function(f"() => Math.abs(({position})() - {middle}) < 0.1", timeout=10_000)
        browser.close()
