"""Put the demo's outputs into the first four notebooks: python tests/notebooks/outputs.py [RUN].

RUN is the work folder of a finished run, by default runs/demo, which is made if it does not exist. A reader on the web
then sees results. Players and download links are left out, and pictures are made small.
"""

import base64
import io
import subprocess
import sys
from pathlib import Path

import nbformat
from PIL import Image

from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.artifacts import digest
from snippetkit.utils.paths import project_folder

SOURCES = "sources"     # in the metadata of a notebook: fingerprint of the cells that its outputs were made from
_LEFT_OUT = "(Players and links are left out here. Run the notebook to get them.)"
_WIDEST, _COLOURS = 800, 64     # pixels and colours of a picture


def main(run=None):
    folder = Path(run or project_folder() / "runs" / "demo")
    if run is None:
        subprocess.run([sys.executable, "-m", "snippetkit", "run", "--out", folder], check=True)
    for name in NOTEBOOKS:
        path = project_folder() / "notebooks" / f"{name}.ipynb"
        notebook = with_outputs(path, folder)
        path.write_text(nbformat.writes(notebook) + "\n")


def with_outputs(path, run):
    """The notebook at a path with the outputs of its executed copy in a work folder, whose cells must be the same."""
    notebook, executed = (nbformat.read(place, as_version=4) for place in (path, run / "notebooks" / path.name))
    cells = [cell for cell in executed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    if [cell.source for cell in cells] != [cell.source for cell in notebook.cells]:
        sys.exit(f"{path.name} in {run} was executed from other cells. Run it again: python -m snippetkit run")
    code = [(cell, done) for cell, done in zip(notebook.cells, cells) if cell.cell_type == "code"]
    for number, (cell, done) in enumerate(code, start=1):
        cell.execution_count, cell.outputs = number, [_small(output, run, number) for output in done.outputs]
    notebook.metadata[SOURCES] = sources_of(notebook)
    return notebook


def sources_of(notebook):
    """Fingerprint of the cells of a notebook."""
    return digest([cell.source for cell in notebook.cells])


def _small(output, run, number):
    if "execution_count" in output:
        output.execution_count = number
    if "text" in output:
        output.text = _without_paths(output.text, run)
    data = output.get("data", {})
    for kind in [kind for kind in data if kind.startswith("text/")]:
        data[kind] = _without_paths(data[kind], run)
    if any(mark in data.get("text/html", "") for mark in ("<audio", "download=")):
        output.data = {"text/plain": _LEFT_OUT}
    if "image/png" in data:
        output.data = {"image/png": _small_picture(data["image/png"])}
        output.metadata = {}
    return output


def _without_paths(text, run):
    return text.replace(str(run.resolve()), "runs/demo").replace(f"{project_folder()}/", "")


def _small_picture(encoded):
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    picture.thumbnail((_WIDEST, _WIDEST))
    buffer = io.BytesIO()
    picture.quantize(_COLOURS).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
