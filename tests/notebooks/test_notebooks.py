"""The notebooks as files: what a person reads before running them."""

import ast
from pathlib import Path

import nbformat
import papermill
import pytest
from outputs import sources_of, with_outputs

from snippetkit.kaggle.build import read_notebook
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.paths import project_folder

FOLDER = project_folder() / "notebooks"
ALL = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.fixture(params=ALL)
def notebook(request):
    return nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_valid(notebook):
    nbformat.validate(notebook)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_four_show_the_outputs_of_their_own_cells(name):
    path = FOLDER / f"{name}.ipynb"
    notebook, text = nbformat.read(path, as_version=4), path.read_text()
    assert notebook.metadata.get("sources") == sources_of(notebook), "run: python tests/notebooks/outputs.py"
    assert [cell.execution_count for cell in code(notebook)] == [*range(1, 1 + len(code(notebook)))]
    assert '"image/png"' in text and '"output_type": "error"' not in text
    assert len(text) < 600_000 and "<audio" not in text and "base64," not in text
    assert not any(place in text for place in (str(project_folder()), str(Path.home()), "/tmp/"))


@pytest.mark.parametrize("name", ALL[4:])
def test_the_outputs_of_the_lab_are_stripped(name):
    cells = code(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4))
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_outputs_of_other_cells_are_refused(short_run, tmp_path):
    notebook = read_notebook(FOLDER / "04_predict.ipynb")
    nbformat.write(notebook, tmp_path / "04_predict.ipynb")
    shown = with_outputs(tmp_path / "04_predict.ipynb", short_run)
    outputs = [output for cell in code(shown) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert str(short_run) not in nbformat.writes(shown)
    notebook.cells[-1].source += " "
    nbformat.write(notebook, tmp_path / "04_predict.ipynb")
    with pytest.raises(SystemExit, match="04_predict.ipynb in .* was executed from other cells"):
        with_outputs(tmp_path / "04_predict.ipynb", short_run)


def test_small_cells_and_a_story_around_them(notebook):
    assert 10 <= len(notebook.cells) <= 24
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[-1].cell_type == "markdown"
    assert max(len(cell.source.splitlines()) for cell in code(notebook)) <= 20


def test_no_loop_is_longer_than_five_lines(notebook):
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.For, ast.While)):
                assert node.end_lineno - node.lineno < 5, cell.source


def test_nothing_is_named_by_the_path_of_one_machine(notebook):
    for cell in code(notebook):
        assert "sys.path" not in cell.source and "/home" not in cell.source and "/kaggle" not in cell.source


def test_the_first_code_cell_holds_commented_scalars(notebook):
    cell = code(notebook)[0]
    assert cell.metadata.get("tags") == ["parameters"]
    for line, node in zip(cell.source.splitlines(), ast.parse(cell.source).body):
        assert isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant), line
        assert "#" in line, f"no comment: {line}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_parameters_are_those_that_the_pipeline_gives(name):
    path = FOLDER / f"{name}.ipynb"
    names = {node.targets[0].id for node in ast.parse(code(nbformat.read(path, as_version=4))[0].source).body}
    # papermill reads them with a pattern of its own, and skips a line that it does not understand
    assert names == set(NOTEBOOKS[name]) == set(papermill.inspect_notebook(str(path)))


def test_the_first_four_notebooks_are_in_the_pipeline():
    assert ALL[:4] == list(NOTEBOOKS)
