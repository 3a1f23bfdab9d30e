"""The data folder and the work folder of a run: on Kaggle, elsewhere, and for the demo."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..data import demo
from ..recipe import LIGHT_TRAINING, Recipe
from ..utils.errors import KitError, listed, report_os_error
from ..utils.paths import KAGGLE, project_folder, runs_folder
from ..utils.progress import say
from ..utils.storage import read_json, write_json
from ..vocals.packing import unpack
from .earlier_output import copy_earlier_output

# Enough to see an ensemble on a laptop; a real competition uses the recipe's own numbers. Without separation, because
# the demo must run without a download, and Spleeter was not trained on synthesised voices.
_DEMO = {"members": 2, "epochs": 9, "separator": "none", "classifiers": ""}
_CHOICES, _LAST = "choices.json", "last.json"   # in the work folder; in the folder of runs


@dataclass(frozen=True)
class Workspace:
    """The folders of one run.

    Attributes
    ----------
    data : Path
        Where the competition's files are searched; never written to.
    folder : Path
        The work folder, which contains everything that the run makes.
    is_demo : bool
    """

    data: Path
    folder: Path
    is_demo: bool = False

    # Paths in the work folder.
    vocals = property(lambda self: self.folder / "vocals")
    features = property(lambda self: self.folder / "features")
    songs = property(lambda self: self.features / "songs.csv")
    views = property(lambda self: self.features / "pretrained")
    members = property(lambda self: self.folder / "members")
    notebooks = property(lambda self: self.folder / "notebooks")
    figures = property(lambda self: self.folder / "figures")
    submission = property(lambda self: self.folder / "submission.csv")
    held_out = property(lambda self: self.folder / "held_out.csv")
    test_scores = property(lambda self: self.folder / "test_scores.csv")
    report = property(lambda self: self.folder / "report.json")

    def recipe(self, name="best", *, members=0, epochs=0, settings=""):
        """The recipe of a run, from the parameters of a notebook.

        Parameters
        ----------
        name : str
            'best', 'quick' or 'published'.
        members, epochs : int
            0: the recipe's own number; on the demo a small one (then nothing is separated, there are no classifiers,
            and the networks of 'best' have the light training).
        settings : str
            Further choices, ``name=value`` separated by spaces.

        Raises
        ------
        KitError
            If a name is unknown or a value has the wrong type.
        """
        recipe = Recipe.named(name)
        given = {key: value for key, value in {"members": members, "epochs": epochs}.items() if value != 0}
        # a recipe without networks of its own needs pretrained ones and vocals
        few = _DEMO if self.is_demo and recipe.members else {}
        light = LIGHT_TRAINING if few and name == "best" else {}
        return recipe.with_values(**light | few | given).with_settings(settings.split())


def remember(given, workspace):
    """Keep the choices of 01_spleeter in the work folder, and which folder that was, so that 02 to 04 take them up.

    Parameters
    ----------
    given : SimpleNamespace
        As `read_parameters` returns it, with ``data``, ``recipe``, ``settings`` and ``on_bad``.
    workspace : Workspace

    Raises
    ------
    KitError
        If the work folder cannot be written.
    """
    data = str(workspace.data) if str(given.data) else ""
    choices = {"data": data, "recipe": given.recipe, "settings": given.settings, "on_bad": given.on_bad}
    with report_os_error(f"{workspace.folder} cannot be written"):
        write_json(workspace.folder / _CHOICES, choices)
    with suppress(OSError):     # the kit may be installed where nobody may write; then `out` has to be given
        runs_folder().mkdir(exist_ok=True)
        write_json(runs_folder() / _LAST, {"out": str(workspace.folder)})


def recall(*, kaggle=KAGGLE, **given):
    """Fill parameters that are empty with the choices that 01_spleeter kept.

    Parameters
    ----------
    kaggle : Path
        Where Kaggle mounts its folders.
    **given
        Parameters of a notebook. Without ``data`` and ``out``, the work folder is the last one that 01_spleeter opened.
        ``settings`` belong to a recipe, so they are only filled if ``recipe`` is empty, too.

    Returns
    -------
    dict
        The same names. ``recipe`` is 'best', and ``on_bad`` 'fail', if nothing is kept.
    """
    given = {name: "" if value is None else value for name, value in given.items()}
    data, out = (str(given.get(name, "")) for name in ("data", "out"))
    if not (data or out or (kaggle / "input").is_dir()):
        out = (read_json(runs_folder() / _LAST) or {}).get("out", "")
        if not Path(out, _CHOICES).exists():
            say("01_spleeter was not run before, and no data folder is given: this is the demo")
            out = ""
    kept = read_json(_work_folder(data, out, kaggle) / _CHOICES) or {}
    if given.get("recipe"):
        kept.pop("settings", None)
    kept = {"recipe": "best", "on_bad": "fail"} | kept | {"out": out}
    return {name: kept.get(name, value) if value == "" else value for name, value in given.items()}


def _work_folder(data, out, kaggle):
    """Where the results of a run are, as in `open_workspace`."""
    if str(out):
        return Path(out).expanduser().resolve()
    on_kaggle = (kaggle / "input").is_dir()
    return kaggle / "working" if on_kaggle else runs_folder() / (Path(data).resolve().name if str(data) else "demo")


def open_workspace(data="", out="", *, vocals=True, weights=True, kaggle=KAGGLE):
    """Find the data folder, create the work folder and, on Kaggle, copy the output of earlier sessions into it.

    Parameters
    ----------
    data : path-like
        The folder with the competition's files; a relative path is looked for in the current folder, then in the
        project. Empty: on Kaggle everything attached, elsewhere the demo, which is made if it does not exist.
    out : path-like
        The work folder. Empty: on Kaggle its working folder, elsewhere ``runs/<name of the data folder>`` in the
        project, or in the current folder where the kit was installed without its project.
    vocals, weights : bool
        As in `earlier_output.copy_earlier_output`.
    kaggle : Path
        Where Kaggle mounts its folders.

    Returns
    -------
    Workspace

    Raises
    ------
    KitError
        If the data folder does not exist, or the work folder cannot be created.
    """
    on_kaggle = (kaggle / "input").is_dir()
    is_demo = not str(data) and not on_kaggle
    found = _data_folder(data) if str(data) else kaggle / "input"
    out = _work_folder(data, out, kaggle).resolve()
    with report_os_error(f"the work folder {out} cannot be created"):
        out.mkdir(parents=True, exist_ok=True)
    if is_demo:
        found = demo.make(out / "competition")
    if on_kaggle:
        copy_earlier_output(out, kaggle / "input", vocals=vocals, weights=weights)
        unpack(out / "vocals")
    return Workspace(data=found, folder=out, is_demo=is_demo)


def _data_folder(data):
    """The data folder; a relative path begins at the current folder, which of a notebook is its own, or the project."""
    places = [place / data for place in (Path.cwd(), project_folder()) if place]
    for place in places:
        if place.is_dir():
            return place.resolve()
    tried = listed(dict.fromkeys(map(str, places)))
    raise KitError(f"there is no data folder {tried}. Give the folder with the competition's files.")
