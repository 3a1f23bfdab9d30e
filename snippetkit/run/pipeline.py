"""The numbered notebooks one after the other, without anyone at the keyboard.

Every stage finds out itself what is done; a notebook is therefore always run from its top.
"""

import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from ..training.members import finished_members
from ..utils.clock import Clock
from ..utils.errors import KitError, Stopped
from ..utils.lock import exclusive_task
from ..utils.paths import project_folder
from ..utils.progress import say
from ..utils.storage import read_json, replacing
from .other_runs import folders_named, runs_beside

# The notebooks in their order, and what each takes in its parameters cell.
NOTEBOOKS = {
    "01_spleeter": ("data", "out", "recipe", "settings", "on_bad", "weights"),
    "02_features": ("data", "out", "recipe", "settings", "on_bad", "songs", "cluster"),
    "03_train_ensemble": (
        "data", "out", "recipe", "settings", "on_bad", "songs", "members", "epochs", "max_hours", "cluster",
    ),
    "04_predict": ("data", "out", "on_bad", "members", "neighbours", "beside"),
}

_STOPPED = "stopped; what was saved is kept: run again to go on."


@dataclass(frozen=True)
class Outcome:
    """Where a run got to.

    Attributes
    ----------
    finished, wanted : int
        Members.
    report : dict or None
        None as long as no member is finished.
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
        As in `vocals.clips.check`.
    weights : path-like
        As in `vocals.separate.separate`.
    songs : path-like
        As in `songs.table.find_songs`.
    neighbours : float
        As in `results.collect`.
    beside : str
        Work folders for `results.collect_beside`, with commas between them.
    cluster : str
        As in `cluster.use_cluster`, for features and members.
    folder : path-like or None
        Where the notebooks are; None is the project's own.

    Returns
    -------
    Outcome

    Raises
    ------
    KitError
        As `Workspace.recipe` and `results.runs_beside` do, before anything is made. If a cell fails; the text is the
        kit's own sentence, or names notebook, cell and exception, and the executed copy stays in the work folder.
    """
    clock = Clock(max_hours)
    chosen = workspace.recipe(recipe, members=members, epochs=epochs, settings=settings)
    runs_beside(workspace.members, chosen, folders_named(beside))   # now, not only when all members are trained
    wanted = chosen.members
    folder = _notebook_folder(folder)
    parameters = {
        "data": str("" if workspace.is_demo else workspace.data), "out": str(workspace.folder),
        "recipe": recipe, "members": wanted, "epochs": epochs, "settings": settings, "on_bad": on_bad,
        "weights": str(weights), "songs": str(songs), "neighbours": neighbours, "beside": beside,
        "cluster": cluster,
    }
    with exclusive_task(workspace.folder, "a run"):
        for number, name in enumerate(NOTEBOOKS, start=1):
            if name == "04_predict" and not finished_members(workspace.members):
                return Outcome(0, wanted, None)
            say(f"[{number}/{len(NOTEBOOKS)}] {name}")
            parameters["max_hours"] = clock.hours_left()
            given = {parameter: parameters[parameter] for parameter in NOTEBOOKS[name]}
            _execute(folder / f"{name}.ipynb", workspace.notebooks / f"{name}.ipynb", given)
    report = read_json(workspace.report)
    return Outcome(report["members"], wanted, report)


def _execute(source, target, parameters):
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # What the notebooks print goes straight to the terminal, their progress bars with it: a bar that counts
        # cells would stand still for as long as the members train.
        papermill.execute_notebook(
            str(source), str(target), parameters, kernel_name="python3", progress_bar=False,
            stdout_file=sys.stderr, stderr_file=sys.stderr,
            # Kernels warn that the loopback connection is not encrypted, and call it an error to be shut down at work.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    except KeyboardInterrupt:
        # The kernel's answer to the interrupt is on its way, and nobody is left to receive it: no traceback for that.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Stopped(_STOPPED) from None
    except PapermillExecutionError as error:
        if error.ename == Stopped.__name__:
            raise Stopped(error.evalue) from None
        if error.ename == KeyboardInterrupt.__name__:
            raise Stopped(_STOPPED) from None
        if error.ename == KitError.__name__:
            raise KitError(error.evalue) from None
        raise KitError(
            f"cell [{error.exec_count}] of {source.name} failed with {error.ename}: {error.evalue}. "
            f"The executed copy with the whole traceback is {target}."
        ) from error
    except OSError as error:
        raise KitError(
            f"{target} could not be written: {error.strerror or error}; choose another output folder or make room."
        ) from error
    except DeadKernelError as error:
        raise KitError(
            f"the kernel of {source.name} died, killed by someone or for want of memory; "
            "what it had saved is kept: run again to go on."
        ) from error
    _tidy(target)


def _tidy(path):
    """Leave of every progress bar in an executed notebook what a terminal would show in the end: its last state."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        tidied = []
        for output in cell.get("outputs", []):
            if tidied and output.output_type == "stream" and tidied[-1].get("name") == output.name:
                tidied[-1].text += output.text
            else:
                tidied.append(output)
        for output in tidied:
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        if cell.cell_type == "code":
            cell.outputs = tidied
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)


def _notebook_folder(folder):
    folder = Path(folder) if folder else project_folder() and project_folder() / "notebooks"
    if not folder or not (folder / f"{next(iter(NOTEBOOKS))}.ipynb").exists():
        raise KitError(
            f"the notebooks {', '.join(NOTEBOOKS)} are not in {folder or 'the installed kit'}; "
            "run this from a checkout of the project, or name their folder."
        )
    return folder
