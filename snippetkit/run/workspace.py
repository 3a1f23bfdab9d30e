"""The data folder and the work folder of a run: on Kaggle, elsewhere, and for the demo."""

from dataclasses import dataclass
from pathlib import Path

from ..data import demo
from ..recipe import Recipe
from ..utils.errors import KitError, report_os_error
from ..utils.paths import KAGGLE, runs_folder
from .earlier_output import copy_earlier_output

# Enough to see an ensemble on a laptop; a real competition uses the recipe's own numbers. Without separation, because
# the demo must run without a download, and Spleeter was not trained on synthesised voices.
_DEMO = {"members": 2, "epochs": 9, "separator": "none", "classifiers": ""}


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
            0: the recipe's own number; on the demo a small one (then nothing is separated, and there are no
            classifiers, either).
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
        return recipe.with_values(**few | given).with_settings(settings.split())


def open_workspace(data="", out="", *, weights=True, kaggle=KAGGLE):
    """Find the data folder, create the work folder and, on Kaggle, copy the output of earlier sessions into it.

    Parameters
    ----------
    data : path-like
        The folder with the competition's files. Empty: on Kaggle everything attached, elsewhere the demo, which is
        made if it does not exist.
    out : path-like
        The work folder. Empty: on Kaggle its working folder, elsewhere ``runs/<name of the data folder>`` in the
        project, or in the current folder where the kit was installed without its project.
    weights : bool
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
    if data and not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}. Give the folder with the competition's files.")
    data = Path(data).resolve() if str(data) else kaggle / "input"
    if not str(out):
        out = kaggle / "working" if on_kaggle else runs_folder() / ("demo" if is_demo else data.name)
    out = Path(out).resolve()
    with report_os_error(f"the work folder {out} cannot be created"):
        out.mkdir(parents=True, exist_ok=True)
    if is_demo:
        data = demo.make(out / "competition")
    if on_kaggle:
        copy_earlier_output(out, kaggle / "input", weights=weights)
    return Workspace(data=data, folder=out, is_demo=is_demo)
