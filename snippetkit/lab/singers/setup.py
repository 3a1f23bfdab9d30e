"""The run that notebook 07 studies: a finished one or a small new one, after every parameter was checked."""

import importlib.util
from pathlib import Path

from ...data.competition import find
from ...data.labels import CLASSES
from ...recipe import LIGHT_TRAINING, Recipe
from ...run.workspace import Workspace, open_workspace
from ...training.data import prepare
from ...training.members import finished_members, shared_recipe
from ...utils.clock import Clock
from ...utils.errors import KitError, listed
from ...utils.hardware import find_devices
from ...utils.parameters import number, path, text
from ...utils.paths import KAGGLE, runs_folder
from ...vocals.clips import check_on_bad
from ..methods import train_all
from . import inputs
from .study import Study

_PACKAGES = ("hmmlearn", "audiomentations", "captum", "onnx", "onnxscript", "onnxruntime")


def open_study(
    data="", run="", out="", *, members=2, epochs=4, valid_folds=1, networks="", kinds="", versions=0, recording="",
    on_bad="fail", clock=None,
):
    """Open a finished run of notebooks 01 to 04; without one, train a small ensemble first.

    Parameters
    ----------
    data : path-like
        The competition's folder, as in `workspace.open_workspace`. With `run`, the folder that it was made from; may be
        empty if that was the demo or what Kaggle has attached.
    run : path-like
        Work folder with complete features and finished members whose folds keep songs apart. Empty: ResNet18s are
        trained with `recipe.LIGHT_TRAINING`, without separation.
    out : path-like
        Folder for all results. Empty: ``runs/models``, or ``runs/models-<name of the data folder>``.
    members, epochs : int
        Of the small ensemble.
    valid_folds : int
        As in `Study`.
    networks, kinds : str
        As in `Study`; networks separated by spaces, kinds by commas.
    versions : int
        Number of changed versions of each clip that will be made.
    recording : path-like
        A recording that will be streamed.
    on_bad : str
        As in `prepare`.
    clock : Clock or None

    Returns
    -------
    Study
        Its folder is ``lab`` in `out`.

    Raises
    ------
    KitError
        If a package is missing; if there is no such run, network, kind or recording; if the members do not cover the
        folds, or were validated on a random split; if the time limit was reached.
    """
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise KitError(f"the study needs {listed(missing)}: pip install -r requirements-lab.txt")
    data, run, out, recording = map(path, (data, run, out, recording))
    members, epochs = number("members", members, int), number("epochs", epochs, int)
    check_on_bad(on_bad)
    networks, kinds = text(networks).split(), [kind.strip() for kind in text(kinds).split(",") if kind.strip()]
    _require_valid(networks, kinds, versions, recording)
    out = Path(out or runs_folder() / (f"models-{Path(data).name}" if str(data) else "models")).resolve()
    if str(run):
        work = _finished_run(data, Path(run).resolve())
        available = finished_members(work.members)
        recipe = shared_recipe(work.members, available)[0].with_values(members=len(available))
    else:
        available = range(members)
        recipe = Recipe(
            **LIGHT_TRAINING | {"split": "songs", "separator": "none", "members": members, "epochs": epochs},
        )
    _require_folds(valid_folds, recipe, available, run)
    if versions and recipe.separator != "none":
        raise KitError(f"changed versions need music, but {run} separated the vocals. Set versions to 0.")
    work = work if str(run) else open_workspace(data, out)
    competition, device, clock = find(work.data), find_devices(recipe.precision)[0], clock or Clock()
    if tuple(competition.classes) != CLASSES or recipe.seconds != Recipe().seconds:
        raise KitError("the study is about clips of 3 s and the kit's four classes. This run has others.")
    training = prepare(competition, work, recipe, on_bad=on_bad)
    if not str(run):
        train_all(work.members, recipe, training, device=device, clock=clock)
    return Study(
        folder=out / "lab", competition=competition, data=training, recipe=recipe, run=work.folder,
        device=device, networks=networks, kinds=kinds, valid_folds=valid_folds, clock=clock,
    )


def _finished_run(data, folder):
    """The workspace of a finished run, which is only read."""
    if not finished_members(folder / "members"):
        raise KitError(f"{folder} is not a work folder with finished members. Give one (run), or leave it empty.")
    if not str(data):
        data = next((path for path in (folder / "competition", KAGGLE / "input") if path.is_dir()), None)
        if data is None:
            raise KitError(f"the clips of {folder} were not found. Give the folder that it was made from (data).")
    if not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}. Give the folder that {folder} was made from.")
    return Workspace(data=Path(data).resolve(), folder=folder)


def _require_valid(networks, kinds, versions, recording):
    if "lab.wave" in networks:
        raise KitError("lab.wave takes samples and is trained on them in any case. Leave it out of networks.")
    for name in networks:
        Recipe(model=name)      # raises if there is no such model
    for kind in kinds:
        if kind not in inputs.KINDS:
            raise KitError(f"there is no input {kind!r}. Choose from {', '.join(inputs.KINDS)}.")
    if not (isinstance(versions, int) and versions >= 0):
        raise KitError(f"versions={versions!r} is not a number of changed versions. Choose 0 or more.")
    if str(recording) and not Path(recording).is_file():
        raise KitError(f"there is no recording {recording}. Give a file, or leave it empty.")


def _require_folds(valid_folds, recipe, members, run):
    if recipe.split == "random":
        raise KitError(
            f"the members in {run} were validated on a random split, with songs on both sides. Train with "
            "--set split=songs or --recipe best, and give that work folder."
        )
    if not (isinstance(valid_folds, int) and 1 <= valid_folds <= recipe.folds):
        raise KitError(f"valid_folds={valid_folds!r} is not a number of folds. Choose 1 to {recipe.folds}.")
    if missing := set(range(valid_folds)) - {member % recipe.folds for member in members}:
        raise KitError(
            f"valid_folds={valid_folds}, but no member has fold {min(missing)} as its validation set. Choose fewer "
            "folds, or train more members."
        )
