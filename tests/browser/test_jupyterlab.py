"""The notebooks in JupyterLab in a real browser: Run All, the stop button and the download link.

Pictures of the pages are kept in ``test-output`` in the project's folder.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from papermill.parameterize import parameterize_notebook

from snippetkit.kaggle.build import read_notebook
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.paths import project_folder

sync_api = pytest.importorskip("playwright.sync_api", reason="what drives the browser: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("there is no Chromium here; on Debian: apt-get install chromium", allow_module_level=True)

PICTURES = project_folder() / "test-output"
TOKEN = "a-token"
# Long enough to be interrupted, short enough to wait for.
SMALL = {"recipe": "published", "settings": "separator=none model=cnn3 batch_size=8", "members": 2, "epochs": 150}
MINUTES = 60_000
NUMBER = re.compile(r"\[\d+\]:")     # the prompt of a cell that has run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(small_demo, tmp_path_factory):
    """JupyterLab on the notebooks with small parameters; gives its address, their folder and the work folder."""
    root = tmp_path_factory.mktemp("lab")
    out = root / "out"
    parameters = {"data": str(small_demo), "out": str(out), **SMALL}
    (root / "notebooks").mkdir()
    for name, known in NOTEBOOKS.items():
        given = {key: value for key, value in parameters.items() if key in known}
        notebook = read_notebook(project_folder() / "notebooks" / f"{name}.ipynb")
        notebook = parameterize_notebook(notebook, given)
        nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")
    settings = root / "settings"
    for plugin, values in {
        # all cells in the page, not only those in view; no dialog asks for the kernel
        "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }.items():
        path = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root",
         f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings)},
    )
    address = None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:\d+/", line):
            address = match[0]
            break
    assert address, "JupyterLab did not start"
    # somebody has to read what it says, or it stands still in the end
    reader = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    yield address, root / "notebooks", out
    process.terminate()
    process.wait(timeout=30)
    reader.wait(timeout=30)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    yield page
    page.close()


def opened(page, lab, name):
    """The page of a notebook whose kernel runs and is connected.

    The kernel is started here. A page that starts it itself may ask for one before the server has listed them; the
    answer then replaces the kernel that JupyterLab has started meanwhile, and the cells that wait in it are lost.
    """
    address, *_ = lab
    sessions, path = f"{address}api/sessions", f"notebooks/{name}.ipynb"
    token = {"Authorization": f"token {TOKEN}"}
    asked = {"path": path, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
    answer = page.request.post(sessions, data=asked, headers=token)
    assert answer.ok, answer.text()
    page.goto(f"{address}lab/tree/{path}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=2 * MINUTES)
    deadline = time.monotonic() + 60
    while True:
        known = page.request.get(sessions, headers=token).json()
        [kernel] = [session["kernel"] for session in known if session["path"] == path]
        if kernel["connections"] and kernel["execution_state"] == "idle":
            break
        assert time.monotonic() < deadline, kernel
        page.wait_for_timeout(200)
    return page


def run_all(page, *, restart=False):
    before = page.locator(".jp-CodeCell .jp-InputPrompt").first
    text = before.inner_text()
    if restart:
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_text("Restart Kernel and Run All Cells…", exact=True).click()
        page.get_by_role("button", name="Confirm Kernel Restart").click()
        # until then the numbers of the run before stand there
        sync_api.expect(last_prompt(page)).to_have_text(re.compile(r"\[[ *]\]:"))
        return
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    sync_api.expect(before).not_to_have_text(text)


def last_prompt(page):
    return page.locator(".jp-CodeCell .jp-InputPrompt").last


def finish(page, lab, name):
    """Wait until all cells have run, save, and give the notebook as it is then on the disk, without an error in it."""
    try:
        sync_api.expect(last_prompt(page)).to_have_text(NUMBER, timeout=5 * MINUTES)
    except AssertionError:
        picture(page, f"{name}-stuck")
        pytest.fail(f"{name} did not run to its end:\n{page.locator('.jp-Notebook').inner_text()[-3000:]}")
    page.keyboard.press("Control+s")
    path = lab[1] / f"{name}.ipynb"
    deadline = time.monotonic() + 30
    code = []
    while not code or not all(cell.execution_count for cell in code) and time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            notebook = nbformat.read(path, as_version=4)
        except nbformat.reader.NotJSONError:    # JupyterLab is writing it
            assert time.monotonic() < deadline
        else:
            code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    return notebook


def clips_to_hear(out):
    """Players in 04: the largest errors, four if there are so many, and the surest test clip of each class."""
    table = pd.read_csv(out / "held_out.csv")
    return min(4, (table["label"] != table["predicted"]).sum()) + 4


def picture(page, name):
    """The whole notebook as one long picture, as far as it fits."""
    PICTURES.mkdir(exist_ok=True)
    panel = page.locator(".jp-WindowedPanel-outer")
    height = panel.locator(".jp-Cell").evaluate_all("cells => cells.reduce((sum, cell) => sum + cell.offsetHeight, 0)")
    page.set_viewport_size({"width": 1400, "height": min(height + 200, 12_000)})
    panel.evaluate("panel => panel.scrollTo(0, 0)")
    page.wait_for_timeout(1000)
    page.screenshot(path=PICTURES / f"{name}.png")


def runs_again(page, browser, lab, name):
    """After a restart all cells run again, and no output is wider than JupyterLab or than a page of HTML.

    A picture of each is kept.
    """
    run_all(page, restart=True)
    finish(page, lab, name)
    assert wider_than_the_page(page) == []
    picture(page, name)
    source, exported = lab[1] / f"{name}.ipynb", lab[1].parent / f"{name}.html"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", exported, source]
    subprocess.run(command, check=True, capture_output=True)
    reader = browser.new_page(viewport={"width": 1200, "height": 1000})
    reader.goto(exported.as_uri())
    assert wider_than_the_page(reader) == []
    reader.screenshot(path=PICTURES / f"{name}-html.png", full_page=True)
    reader.close()


def wider_than_the_page(page):
    """Texts of outputs that stick out of the notebook on the right."""
    return page.locator(".jp-OutputArea-output").evaluate_all("""outputs => outputs
        .filter(output => output.scrollWidth > output.clientWidth + 1).map(output => output.innerText.slice(0, 80))""")


@pytest.mark.parametrize("name", ["01_spleeter", "02_features"])
def test_the_notebooks_before_training_run_and_run_again(lab, page, browser, name):
    opened(page, lab, name)
    run_all(page)
    finish(page, lab, name)
    runs_again(page, browser, lab, name)


def test_interrupted_training_is_continued(lab, page, browser):
    name, out = "03_train_ensemble", lab[2]
    opened(page, lab, name)
    run_all(page)
    page.get_by_text(re.compile(r"epoch \d+/150")).first.wait_for(timeout=3 * MINUTES)
    page.get_by_role("button", name="Interrupt the kernel").click()
    stopped = page.get_by_text(re.compile("Stopped: training was stopped \\(. of 2 members are finished"))
    stopped.wait_for(timeout=MINUTES)
    assert "member_00 has" in stopped.inner_text() and "run again to continue" in stopped.inner_text()
    assert page.get_by_text("Traceback").count() == 0
    picture(page, f"{name}-interrupted")
    begun = (out / "members" / "member_00" / "history.csv").read_text().splitlines()
    assert 1 < len(begun) <= 150 and not (out / "members" / "member_01" / "done.json").exists()

    run_all(page)
    notebook = finish(page, lab, name)
    assert "2 of 2 members are finished." in nbformat.writes(notebook)
    history = (out / "members" / "member_00" / "history.csv").read_text().splitlines()
    assert history[: len(begun)] == begun and len(history) == 151
    runs_again(page, browser, lab, name)


def test_the_submission_is_one_click_away(lab, page, browser):
    name, out = "04_predict", lab[2]
    opened(page, lab, name)
    run_all(page)
    finish(page, lab, name)
    with page.expect_download() as download:
        page.get_by_role("link", name="submission.csv").click()
    assert download.value.suggested_filename == "submission.csv"
    assert Path(download.value.path()).read_bytes() == (out / "submission.csv").read_bytes()
    assert page.locator("audio").count() == clips_to_hear(out)
    runs_again(page, browser, lab, name)


def test_an_executed_copy_keeps_its_players_and_its_link(lab, page, short_run):
    shutil.copy(short_run / "notebooks" / "04_predict.ipynb", lab[1] / "executed.ipynb")
    opened(page, lab, "executed")
    assert page.locator("audio").count() == clips_to_hear(short_run)
    with page.expect_download() as download:
        page.get_by_role("link", name="submission.csv").click()
    assert Path(download.value.path()).read_bytes() == (short_run / "submission.csv").read_bytes()
