"""All four steps as one notebook for Kaggle, which has the kit inside: no token and no dataset of one's own."""

import base64
import re
import tempfile
from pathlib import Path

import nbformat
from papermill.parameterize import parameterize_notebook

from ..run.pipeline import NOTEBOOKS
from ..utils.errors import KitError
from .build import build_wheel, filled, read_notebook, require_project, without_address, write

_LARGEST = 1e6      # bytes of a notebook's source that Kaggle takes
# Kaggle's own settings of a notebook; its page shows them at the right.
_SETTINGS = {"accelerator": "nvidiaTeslaT4", "isGpuEnabled": True, "isInternetEnabled": True, "sourceType": "notebook"}
_PACK = """# Kaggle is slow with an output of thousands of files.
from snippetkit.vocals.packing import pack

pack(work.vocals)"""
_PARAMETER = re.compile(r"(\w+) = ")


def build_notebook(path, *, competition="", parameters=None):
    """Write the notebook.

    Parameters
    ----------
    path : path-like
        Ends in ``.ipynb``.
    competition : str
        Its name on Kaggle, for the instructions in the first cell.
    parameters : dict or None
        Of the run, by the names in `pipeline.NOTEBOOKS`; the others keep the defaults of the notebooks.

    Returns
    -------
    Path

    Raises
    ------
    KitError
        If the kit is not a checkout, its wheel cannot be built, or the notebook would be too large for Kaggle.
    """
    path, project = Path(path), require_project()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(project, Path(folder))
        content = base64.b64encode(wheel.read_bytes()).decode()
        install = filled(project, "install_cell.py", name=wheel.name, wheel=content).rstrip()
    sources = [read_notebook(project / "notebooks" / f"{name}.ipynb") for name in NOTEBOOKS]
    page = f"https://www.kaggle.com/competitions/{without_address(competition)}" if competition else "the competition"
    notebook = nbformat.v4.new_notebook(metadata=sources[0].metadata | {"kaggle": _SETTINGS}, cells=[
        _cell("markdown", "introduction", filled(project, "introduction.md", competition=page).rstrip()),
        _cell("code", "parameters", _parameters(sources), tags=["parameters"]),
        _cell("code", "install", install, **{"_kg_hide-input": True}),
        *(cell for source in sources for cell in source.cells if not _is_parameters(cell)),
        _cell("code", "pack", _PACK),
    ])
    known = {name for names in NOTEBOOKS.values() for name in names}
    if given := {name: value for name, value in (parameters or {}).items() if name in known}:
        notebook = parameterize_notebook(notebook, given, comment="From the command that built this.")
    text = nbformat.writes(notebook)
    if len(text.encode()) > _LARGEST:
        raise KitError(f"the notebook would have {len(text) / 1e6:.1f} MB, and Kaggle takes {_LARGEST / 1e6:.0f} MB.")
    write(path, text)
    return path


def _cell(kind, name, source, *, tags=(), **metadata):
    # papermill asks every cell for its tags
    return getattr(nbformat.v4, f"new_{kind}_cell")(source, id=name, metadata={"tags": [*tags], **metadata})


def _is_parameters(cell):
    return "parameters" in cell.metadata.tags


def _parameters(notebooks):
    """The parameters cells as one; a parameter of several notebooks stands there once."""
    lines = {}
    for cell in (cell for notebook in notebooks for cell in notebook.cells if _is_parameters(cell)):
        for line in cell.source.splitlines():
            lines.setdefault(_PARAMETER.match(line)[1], line)
    return "\n".join(lines.values())
