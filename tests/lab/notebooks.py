"""Runs a notebook of the lab."""

import papermill

from snippetkit.utils.paths import project_folder


def execute(name, folder, parameters):
    """Run a notebook of that name; `folder` gets the executed copy. Returns what its cells print and show, as text."""
    source = project_folder() / "notebooks" / f"{name}.ipynb"
    notebook = papermill.execute_notebook(source, folder / "executed.ipynb", parameters, progress_bar=False)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
