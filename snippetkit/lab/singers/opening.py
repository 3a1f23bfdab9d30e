"""Where a study of methods takes its clips, folds and ensemble from, and what cannot be had, said before anything is
made."""

import importlib.util
from pathlib import Path

from ...data.competition import find
from ...recipe import Recipe
from ...run.workspace import Workspace, open_workspace
from ...training.data import prepare
from ...training.ensemble import train_ensemble
from ...training.members import finished_members, shared_recipe
from ...utils.clock import Clock
from ...utils.errors import KitError, listed
from ...utils.hardware import find_devices
from ...utils.paths import KAGGLE, runs_folder
from . import inputs
from .study import Study

_PACKAGES = ("hmmlearn", "audiomentations", "captum", "onnx", "onnxscript", "onnxruntime")


def open_study(
    data="", run="", out="", *, members=2, epochs=4, judged=1, networks="", kinds="", versions=0, recording="",
    on_bad="fail", clock=None,
):
    """Take up a run of notebooks 01 to 04; without one, train a small ensemble first.

    Parameters
    ----------
    data : path-like
        The competition's folder, as in `workspace.open_workspace`; with `run` the one that it was made from, which may
        be left empty if that was the demo or what Kaggle has attached.
    run : path-like
        A work folder with finished members that keep songs apart, and with complete features. Empty: ResNet18s are
        trained by the recipe 'best', without separation.
    out : path-like
        Where all goes that is made. Empty: ``runs/models``, or ``runs/models-<name of the data folder>``.
    members, epochs : int
        Of those.
    judged : int
        As in `Study`.
    networks, kinds : str
        As in `Study`, networks with blanks between them, kinds with commas.
    versions : int
        How many changed versions of each clip will be asked for.
    recording : path-like
        What will be listened to.
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
        If a package is missing; if there is no such run, network, kind or recording; if members do not hold out so many
        folds, or clips at random; if the time was up.
    """
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise KitError(f"the study takes {listed(missing)}: pip install -r requirements-lab.txt")
    networks, kinds = _settled(networks, kinds, versions, recording)
    clock = clock or Clock()
    out = Path(out or runs_folder() / (f"models-{Path(data).name}" if str(data) else "models")).resolve()
    work = _taken_up(data, Path(run).resolve()) if str(run) else open_workspace(data, out)
    if run:
        recipe, _ = shared_recipe(work.members, finished_members(work.members))
        recipe = recipe.with_values(members=len(finished_members(work.members)))
        if recipe.split == "random":
            raise KitError(
                f"the members in {work.members} were judged on clips held out at random, with songs on both sides; "
                "train with --set split=songs or --recipe best, and give that work folder."
            )
    else:
        recipe = Recipe.best().with_values(separator="none", model="resnet18", members=members, epochs=epochs)
    if not (isinstance(judged, int) and 1 <= judged <= recipe.folds):
        raise KitError(f"judged={judged!r} is no number of folds to judge everything in; give 1 to {recipe.folds}.")
    there = finished_members(work.members) if run else range(members)
    if missing := set(range(judged)) - {member % recipe.folds for member in there}:
        raise KitError(
            f"judged={judged!r}, but no member holds out fold {min(missing)}; judge in fewer folds, or train more "
            "members."
        )
    (device, *_) = find_devices(recipe.precision)
    competition = find(work.data)
    training = prepare(competition, work, recipe, on_bad=on_bad)
    if not run and len(train_ensemble(work.members, recipe, training, devices=[device], clock=clock)) < members:
        raise KitError("the time is up; what was trained is kept: run again to go on.")
    return Study(
        folder=out / "lab", competition=competition, data=training, recipe=recipe, run=work.folder,
        device=device, networks=networks, kinds=kinds, judged=judged, clock=clock,
    )


def _taken_up(data, folder):
    """The workspace of a finished run, in which nothing is made."""
    if not finished_members(folder / "members"):
        raise KitError(f"{folder} is no work folder with finished members; give one (run), or leave it empty.")
    if not str(data):
        data = next((each for each in (folder / "competition", KAGGLE / "input") if each.is_dir()), None)
        if data is None:
            raise KitError(f"say where the clips are that {folder} was made from (data).")
    if not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}; give the one that {folder} was made from.")
    return Workspace(data=Path(data).resolve(), folder=folder)


def _settled(networks, kinds, versions, recording):
    """Names of networks and of inputs, both as list of str, once all that is asked for can be had."""
    networks = networks.split()
    for name in networks:
        if name == "lab.wave":
            raise KitError("lab.wave takes samples and is trained on them in any case; leave it out of networks.")
        Recipe(model=name)     # raises if there is no such model
    kinds = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in inputs.KINDS:
            raise KitError(f"there is no input {kind!r}; choose some of {', '.join(inputs.KINDS)}.")
    if not (isinstance(versions, int) and versions >= 0):
        raise KitError(f"versions={versions!r} is no number of changed versions; give 0 or more.")
    if str(recording) and not Path(recording).is_file():
        raise KitError(f"there is no recording {recording} to listen to.")
    return networks, kinds
