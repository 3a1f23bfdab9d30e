"""Where a run finds its data and keeps what it makes, on Kaggle, elsewhere, and for the demo.

What lies in those folders is the business of the stages.
"""

from dataclasses import dataclass
from pathlib import Path

from ..data import demo
from ..recipe import Recipe
from ..utils.errors import KitError
from ..utils.paths import KAGGLE, runs_folder
from .earlier_output import copy_earlier_output

# Enough to see the ensemble at work on a laptop; a real competition takes what the recipe says.
_DEMO_MEMBERS = 2
_DEMO_EPOCHS = 9
# The demo has to run where nothing can be downloaded, and Spleeter was not made for its voices anyway.
_DEMO_SEPARATOR = "none"


@dataclass(frozen=True)
class Workspace:
    """The data root and the work folder of one run.

    Attributes
    ----------
    data : Path
        Where the competition's files are searched for; never written to.
    folder : Path
        Everything that the run makes lies below it.
    is_demo : bool
    """

    data: Path
    folder: Path
    is_demo: bool = False

    @property
    def vocals(self):
        return self.folder / "vocals"

    @property
    def features(self):
        return self.folder / "features"

    @property
    def songs(self):
        return self.features / "songs.csv"

    @property
    def members(self):
        return self.folder / "members"

    @property
    def notebooks(self):
        return self.folder / "notebooks"

    @property
    def figures(self):
        return self.folder / "figures"

    @property
    def submission(self):
        return self.folder / "submission.csv"

    @property
    def held_out(self):
        return self.folder / "held_out.csv"

    @property
    def report(self):
        return self.folder / "report.json"

    def recipe(self, name="published", *, members=0, epochs=0, settings=""):
        """The recipe of a run from the plain scalars of a notebook's parameters.

        Parameters
        ----------
        name : str
            'published' or 'best'.
        members, epochs : int
            0 leaves the recipe's own number, on the demo competition a small one. (Nor is anything separated there.)
        settings : str
            Further choices, ``name=value`` with spaces between them.

        Raises
        ------
        KitError
            If a name is unknown or a value has the wrong type.
        """
        recipe = Recipe.named(name)
        if self.is_demo:
            members, epochs = members or _DEMO_MEMBERS, epochs or _DEMO_EPOCHS
            recipe = recipe.with_values(separator=_DEMO_SEPARATOR)
        asked = {"members": members, "epochs": epochs}
        recipe = recipe.with_values(**{key: value for key, value in asked.items() if value != 0})
        return recipe.with_settings(settings.split())


def open_workspace(data="", out="", *, weights=True, kaggle=KAGGLE):
    """Settle where the data are and where results go; on Kaggle, take over what earlier sessions made.

    Parameters
    ----------
    data : path-like
        The folder with the competition's files. Empty: on Kaggle everything attached, elsewhere the demo
        competition, which is made if it is not there.
    out : path-like
        The work folder. Empty: on Kaggle its working folder, elsewhere ``runs/<name of the data folder>`` in the
        project, or in the current folder where the kit was installed without its project.
    weights : bool
        As in `earlier.copy_earlier_output`.
    kaggle : Path
        Where Kaggle mounts its folders.

    Returns
    -------
    Workspace

    Raises
    ------
    KitError
        If there is no such data folder, or the work folder cannot be made.
    """
    on_kaggle = (kaggle / "input").is_dir()
    is_demo = not str(data) and not on_kaggle
    if data and not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}; give the folder that holds the competition's files.")
    data = Path(data).resolve() if str(data) else kaggle / "input"
    if not str(out):
        out = kaggle / "working" if on_kaggle else runs_folder() / ("demo" if is_demo else data.name)
    out = Path(out).resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"the work folder {out} cannot be made: {error.strerror or error}.") from error
    if is_demo:
        data = demo.make(out / "competition")
    if on_kaggle:
        copy_earlier_output(out, kaggle / "input", weights=weights)
    return Workspace(data=data, folder=out, is_demo=is_demo)
