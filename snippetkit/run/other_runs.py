"""Other runs over the same clips, whose members are averaged with those of this run (``--beside``)."""

from pathlib import Path

from ..prediction.scores import collect, together
from ..training.data import prepare
from ..training.members import finished_members, shared_recipe
from ..utils.errors import KitError
from .workspace import Workspace

_ONLY_NETWORKS = "--beside averages networks, and this run has classifiers, too. Leave one of the two out."

def runs_beside(members, recipe, folders):
    """Find the other runs, and refuse those that cannot be averaged with this one.

    Whether they are of the same clips, labels and songs is checked by `collect_beside`, when those of this run are
    known.

    Parameters
    ----------
    members : path-like
        ``members`` in the work folder of this run; need not exist yet.
    recipe : Recipe
        Of this run.
    folders : sequence of path-like
        Work folders of the other runs.

    Returns
    -------
    list of (Path, Recipe)
        Absolute work folder of each run and the recipe of its members.

    Raises
    ------
    KitError
        If a folder does not exist or has no finished member, is listed twice or is this run's own, or has another
        kind of split.
    """
    folders = [Path(folder).resolve() for folder in folders]
    if len({Path(members).resolve(), *((folder / "members").resolve() for folder in folders)}) <= len(folders):
        raise KitError("--beside names a run twice, or this run itself. Name every other run once.")
    if folders and (recipe.classifiers or recipe.views):
        raise KitError(_ONLY_NETWORKS)
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise KitError(f"there is no work folder {folder}. Give the work folder of a finished run.")
        other, _ = shared_recipe(folder / "members", finished_members(folder / "members"))
        if other.split != recipe.split:
            raise KitError(
                f"the run in {folder} has split={other.split} and this run split={recipe.split}, so the validation "
                "clips of one may be training clips of the other. Average runs of the same split."
            )
        runs.append((folder, other))
    return runs


def collect_beside(result, data, folders, competition, *, on_bad="fail"):
    """Average all finished members of other runs, too.

    Parameters
    ----------
    result : Result
    data : TrainingData
        Of `result`.
    folders : sequence of path-like
        Work folders of other runs over the same clips, with any features and recipe, but the same split.
    competition : Competition
    on_bad : str
        As in `clips.check_clips`.

    Returns
    -------
    Result
        Its validation clips are those of all runs.

    Raises
    ------
    KitError
        As `runs_beside`, `collect` and `prepare`; and if a run is of other clips, labels or songs.
    """
    if folders and result.stack:
        raise KitError(_ONLY_NETWORKS)
    others = []
    for folder, recipe in runs_beside(result.members[0].parent, result.recipe, folders):
        work = Workspace(data=competition.root, folder=folder)
        other_data = prepare(competition, work, recipe, on_bad=on_bad)
        if _clips_and_songs(other_data) != _clips_and_songs(data):
            raise KitError(f"the members in {folder} are of other clips, labels or songs and cannot be averaged.")
        others.append(collect(work.members, other_data))
    return together(result, others)


def _clips_and_songs(data):
    arrays = data.train.ids, data.test.ids, data.labels, data.songs.group
    return [array.tolist() for array in arrays]
