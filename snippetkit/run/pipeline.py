"""The four notebooks one after another through papermill.

Every stage skips what is complete, so a notebook is always run from its first cell.
"""

import logging
import re
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from ..training.members import finished_members
from ..utils.clock import Clock
from ..utils.errors import KitError, Stopped, report_os_error
from ..utils.lock import exclusive_task
from ..utils.paths import project_folder
from ..utils.progress import say
from ..utils.storage import read_json, replacing
from .other_runs import folders_named, runs_beside

# The notebooks in order, and the names in their parameters cells.
NOTEBOOKS = {
    "01_spleeter": ("data", "out", "recipe", "settings", "on_bad", "weights"),
    "02_features": ("data", "out", "recipe", "settings", "on_bad", "songs", "cluster"),
    "03_train_ensemble": (
        "data", "out", "recipe", "settings", "on_bad", "songs", "members", "epochs", "max_hours", "cluster",
    ),
    "04_predict": ("data", "out", "on_bad", "members", "neighbours", "beside"),
}

_STOPPED = "the run was stopped. What was saved is kept: run again to continue."


@dataclass(frozen=True)
class Outcome:
    """Where a run got to.

    Attributes
    ----------
    finished, wanted : int
        Members.
    report : dict or None
        None if no member is finished.
    """

    finished: int
    wanted: int
    report: dict | None


def run(
    workspace, *, recipe="published", members=0, epochs=0, settings="", max_hours=0.0, on_bad="fail", weights="",
    songs="", neighbours=0.0, beside="", cluster="", folder=None,
):
    """Run the four notebooks into ``notebooks/`` of the work folder.

    Parameters
    ----------
    workspace : Workspace
    recipe, members, epochs, settings
        As in `Workspace.recipe`.
    max_hours : float
        For the whole run; 0 as in `Clock`.
    on_bad : str
        As in `clips.check_clips`.
    weights : path-like
        As in `separation.separate`.
    songs : path-like
        As in `songs.table.find_songs`.
    neighbours : float
        As in `scores.collect`.
    beside : str
        Work folders for `other_runs.collect_beside`, separated by commas.
    cluster : str
        As in `parallel.use_cluster`, for features and members.
    folder : path-like or None
        Folder of the notebooks; None: the project's own.

    Returns
    -------
    Outcome

    Raises
    ------
    KitError
        As `Workspace.recipe` and `other_runs.runs_beside`, before anything is made. If a cell fails: with the kit's own
        message, or with notebook, cell and exception; the executed copy stays in the work folder.
    """
    clock = Clock(max_hours)
    chosen = workspace.recipe(recipe, members=members, epochs=epochs, settings=settings)
    runs_beside(workspace.members, chosen, folders_named(beside))   # before the training, not after it
    folder = _notebook_folder(folder)
    parameters = {
        "data": str("" if workspace.is_demo else workspace.data), "out": str(workspace.folder),
        "recipe": recipe, "members": chosen.members, "epochs": epochs, "settings": settings, "on_bad": on_bad,
        "weights": str(weights), "songs": str(songs), "neighbours": neighbours, "beside": beside, "cluster": cluster,
    }
    with exclusive_task(workspace.folder, "a run"):
        for number, name in enumerate(NOTEBOOKS, start=1):
            if name == "04_predict" and not finished_members(workspace.members):
                return Outcome(0, chosen.members, None)
            say(f"[{number}/{len(NOTEBOOKS)}] {name}")
            parameters["max_hours"] = clock.hours_left()
            given = {parameter: parameters[parameter] for parameter in NOTEBOOKS[name]}
            _execute(folder / f"{name}.ipynb", workspace.notebooks / f"{name}.ipynb", given)
    report = read_json(workspace.report)
    return Outcome(len(finished_members(workspace.members)), chosen.members, report)


def _execute(source, target, parameters):
    try:
        with report_os_error(f"{target} could not be written", "Choose another output folder or make room."):
            target.parent.mkdir(parents=True, exist_ok=True)
            # Output of the notebooks goes to the terminal, with their progress bars: papermill's own bar counts cells
            # and would not move while the members train.
            papermill.execute_notebook(
                str(source), str(target), parameters, kernel_name="python3", progress_bar=False,
                stdout_file=sys.stderr, stderr_file=sys.stderr,
                # Kernels warn about the unencrypted loopback connection and log an error when they are shut down.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
    except KeyboardInterrupt:
        # The kernel's reply to the interrupt arrives when nobody waits for it any more: no traceback for that.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Stopped(_STOPPED) from None
    except PapermillExecutionError as error:
        if error.ename == KeyboardInterrupt.__name__:
            raise Stopped(_STOPPED) from None
        for kind in (Stopped, KitError):
            if error.ename == kind.__name__:
                raise kind(error.evalue) from None
        raise KitError(
            f"cell [{error.exec_count}] of {source.name} failed with {error.ename}: {error.evalue}. "
            f"The executed copy with the whole traceback is {target}."
        ) from error
    except DeadKernelError as error:
        raise KitError(
            f"the kernel of {source.name} died: it was killed, or memory ran out. "
            "What it had saved is kept: run again to continue."
        ) from error
    _tidy(target)


def _tidy(path):
    """Keep only the last state of every progress bar in an executed notebook, as a terminal would show it."""
    notebook = nbformat.read(path, as_version=4)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        outputs, cell.outputs = cell.outputs, []
        for stream, group in groupby(outputs, key=lambda output: output.get("name")):
            group = list(group)
            if stream:
                group[0].text = re.sub(r"[^\n]*\r(?!\n)", "", "".join(output.text for output in group))
                del group[1:]
            cell.outputs += group
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)


def _notebook_folder(folder):
    folder = Path(folder) if folder else project_folder() and project_folder() / "notebooks"
    if not folder or not (folder / f"{next(iter(NOTEBOOKS))}.ipynb").exists():
        raise KitError(
            f"the notebooks {', '.join(NOTEBOOKS)} are not in {folder or 'the installed kit'}. "
            "Run this from a checkout of the project, or name their folder."
        )
    return folder
