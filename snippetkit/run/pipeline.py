"""The four notebooks one after another through papermill.

Every stage skips what is complete, so a notebook is always run from its first cell.
"""

import logging
import os
import re
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import DeadKernelError
from nbformat.sign import NotebookNotary
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from ..data import competition
from ..features.pretrained import extraction as pretrained
from ..songs import folds
from ..songs.table import check_own_songs
from ..training.members import finished_kinds, refuse_other_kinds
from ..utils.artifacts import is_record
from ..utils.clock import Clock
from ..utils.errors import KitError, Stopped
from ..utils.lock import exclusive_task
from ..utils.parallel import use_cluster
from ..utils.paths import project_folder
from ..utils.progress import TERMINAL, say
from ..utils.storage import read_json, replacing
from ..vocals.separation import require_separator
from .earlier_output import RECORDS
from .other_runs import runs_beside
from .parameters import read_parameters
from .unchanged import is_unchanged, mark_executed, state_of_inputs
from .workspace import remember

# The notebooks in order, and the names in their parameters cells.
NOTEBOOKS = {
    "01_spleeter": ("data", "out", "recipe", "settings", "on_bad", "weights"),
    "02_features": ("data", "out", "recipe", "settings", "on_bad", "songs", "cluster"),
    "03_train_ensemble": (
        "data", "out", "recipe", "settings", "on_bad", "songs", "members", "epochs", "max_hours", "cluster",
    ),
    "04_predict": ("data", "out", "on_bad", "members", "neighbours", "beside"),
}

_PACKAGE = Path(__file__).parents[1]
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
    workspace, *, recipe="best", members=0, epochs=0, settings="", max_hours=0.0, on_bad="fail", weights="",
    songs="", neighbours=0.0, beside="", cluster="", folder=None,
):
    """Run the four notebooks into ``notebooks/`` of the work folder, unless that was done and nothing has changed.

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
    beside : list of path-like, or str
        Work folders for `other_runs.collect_beside`; in text they are separated by commas.
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
    given = read_parameters(
        data="" if workspace.is_demo else workspace.data, out=workspace.folder, recipe=recipe, members=members,
        epochs=epochs, settings=settings, on_bad=on_bad, weights=weights, songs=songs, neighbours=neighbours,
        beside=beside, cluster=cluster,
    )
    chosen = workspace.recipe(given.recipe, members=given.members, epochs=given.epochs, settings=given.settings)
    folder = _notebook_folder(folder)
    _require(workspace, chosen, given)
    parameters = vars(given) | {"members": chosen.members}
    places = [workspace.data, folder, _PACKAGE, *given.beside, *filter(None, [given.songs, given.weights])]
    with exclusive_task(workspace.folder, "a run"):
        inputs = state_of_inputs(parameters, places, workspace.folder)
        if is_unchanged(workspace.folder, inputs):
            say(f"nothing has changed since the notebooks in {workspace.notebooks} were executed")
            remember(given, workspace)
            return _outcome(workspace, chosen)
        for number, name in enumerate(NOTEBOOKS, start=1):
            if name == "04_predict" and not finished_kinds(workspace.folder):
                return Outcome(0, _wanted(chosen), None)
            say(f"[{number}/{len(NOTEBOOKS)}] {name}")
            values = parameters | {"max_hours": clock.hours_left()}
            values = {parameter: values[parameter] for parameter in NOTEBOOKS[name]}
            _execute(folder / f"{name}.ipynb", workspace.notebooks / f"{name}.ipynb", values)
        outcome = _outcome(workspace, chosen)
        if outcome.finished == outcome.wanted:
            mark_executed(workspace.folder, inputs)
    return outcome


def _outcome(workspace, recipe):
    finished = finished_kinds(workspace.folder)
    count = sum(min(len(finished.get(name, ())), kind.members) for name, kind in recipe.kinds().items())
    return Outcome(count, _wanted(recipe), read_json(workspace.report))


def _wanted(recipe):
    return sum(kind.members for kind in recipe.kinds().values())


def _require(workspace, recipe, given):
    """Refuse now what a later notebook would refuse."""
    _require_version(workspace)
    refuse_other_kinds(workspace.folder, recipe)
    runs_beside(workspace.members, recipe, given.beside)
    clips = competition.find(workspace.data)
    folds.require_clips(clips.labels, recipe)
    if given.songs:
        check_own_songs(given.songs, clips, on_bad=given.on_bad)
    finished = finished_kinds(workspace.folder)
    if any(len(finished.get(name, ())) < kind.members for name, kind in recipe.kinds().items()):
        require_separator(workspace.vocals, recipe, given.weights)
        pretrained.require_networks(workspace.views, recipe.views_of_classifiers())
        with use_cluster(given.cluster):
            pass


def _require_version(workspace):
    """Refuse a work folder of another version once, not stage by stage and member by member."""
    records = [path for pattern in RECORDS for path in workspace.folder.glob(pattern)]
    if records and not any(is_record(read_json(path)) for path in records):
        raise KitError(
            f"{workspace.folder} was created by another version of snippetkit. Choose another output folder, or delete "
            "this one to start again."
        )


class _OwnKernel(AsyncKernelManager):
    """The kernel of this Python: an installed kernel of the name python3 may be that of another environment."""

    @default("kernel_spec_manager")
    def _ignore_installed_kernels(self):
        return KernelSpecManager(kernel_dirs=[])


def _execute(source, target, parameters, attempts=3):
    # Its errors are those that are reported below: "Kernel died", also after an interrupt.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    os.environ[TERMINAL] = "1"      # kernels inherit it
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Output of the notebooks goes to the terminal, with their progress bars: papermill's own bar counts cells and
        # would not move while the members train. It takes braces in a path for names of parameters.
        papermill.execute_notebook(
            *(str(path).replace("{", "{{").replace("}", "}}") for path in (source, target)), parameters,
            kernel_name="python3", kernel_manager_class=_OwnKernel, progress_bar=False,
            stdout_file=sys.stderr, stderr_file=sys.stderr,
            # Kernels warn about the unencrypted loopback connection and log an error when they are shut down.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    except KeyboardInterrupt:
        # The kernel replies to the interrupt after the client was closed. asyncio would print a traceback.
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
    except RuntimeError as error:   # before the first cell; another process may have taken one of the kernel's ports
        if attempts > 1:
            return _execute(source, target, parameters, attempts - 1)
        raise KitError(f"the kernel of {source.name} did not start: {error}. Is ipykernel installed?") from error
    except OSError as error:
        if error.filename in (None, str(target), str(target.parent)):
            problem = f"{target} could not be written: {error.strerror}. Choose another output folder or make room."
        else:
            problem = f"{source.name} could not be run: {error.strerror}: {error.filename}."
        raise KitError(problem) from error
    _tidy(target)


def _tidy(path):
    """Keep only the last state of every progress bar in an executed notebook, as a terminal would show it, and sign it.

    JupyterLab shows players and download links of signed notebooks only.
    """
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
    NotebookNotary().sign(notebook)


def _notebook_folder(folder):
    folder = Path(folder) if folder else project_folder() and project_folder() / "notebooks"
    if not folder or not (folder / f"{next(iter(NOTEBOOKS))}.ipynb").exists():
        raise KitError(
            f"the notebooks {', '.join(NOTEBOOKS)} are not in {folder or 'the installed kit'}. "
            "Run this from a checkout of the project, or name their folder."
        )
    return folder
