"""Progress bars in a terminal, in a notebook, and where nobody watches them."""

import nbformat
import pytest
from nbclient import NotebookClient

from snippetkit.utils.progress import TERMINAL, note, progress

CODE = """
import time
from snippetkit.utils.progress import note, progress, say
with progress(total=4, title="clips", unit="clip", has_notes=True) as bar:
    for count in range(4):
        time.sleep(0.4)
        bar.update()
        note(bar, "member", f"epoch {count}")
say("done")
"""


@pytest.mark.parametrize("session, seconds", [("Interactive", 1), ("Batch", 60), ("", 1)])
def test_a_batch_session_shows_its_progress_once_a_minute(monkeypatch, session, seconds):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", session)
    with progress(total=3, title="clips", unit="clip") as bar:
        assert bar.mininterval == seconds


def test_notes_take_the_place_of_a_bar_in_a_batch_session(monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    with progress(total=3, title="member", unit="batch", has_notes=True) as bar:
        bar.update()
        note(bar, "member_03", "epoch 1/3")
    assert capsys.readouterr().err == "member_03: epoch 1/3\n"


def executed(monkeypatch, **variables):
    monkeypatch.delenv(TERMINAL, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[0].outputs


def test_a_notebook_keeps_one_state_of_a_bar(monkeypatch):
    bar, line = executed(monkeypatch)
    assert bar.output_type == "display_data" and line.text == "done\n"
    assert "100%" in bar.data["text/plain"] and "epoch 3" in bar.data["text/plain"]


@pytest.mark.parametrize("variables", [{TERMINAL: "1"}, {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}])
def test_what_goes_to_a_terminal_or_a_log_is_printed(monkeypatch, variables):
    outputs = executed(monkeypatch, **variables)
    assert {output.output_type for output in outputs} == {"stream"}
    text = "".join(output.text for output in outputs if output.name == "stdout")
    assert text.endswith("done\n") and ("member: epoch 3\n" in text) == (TERMINAL not in variables)
