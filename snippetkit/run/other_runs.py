"""Other runs over the same clips, whose members are averaged with those of this run."""

from pathlib import Path

from ..prediction.scores import collect, together
from ..training.data import prepare
from ..training.members import finished_members, shared_recipe
from ..utils.errors import KitError
from .workspace import Workspace


def folders_named(beside):
    """The work folders in a parameter `beside`: a str with commas between them, to a list of str."""
    return [folder.strip() for folder in beside.split(",") if folder.strip()]


def runs_beside(members, recipe, folders):
    """Find the other runs to be averaged in, and refuse those whose notes alone say that they cannot be.

    Whether they are of the same clips, labels and songs shows only once those of this run are known.

    Parameters
    ----------
    members : path-like
        ``members`` in the work folder of this run; it need not exist yet.
    recipe : Recipe
        Of this run.
    folders : sequence of path-like
        Work folders of the others.

    Returns
    -------
    list of (Path, Recipe)
        Their absolute work folders, and what their finished members were trained by.

    Raises
    ------
    KitError
        If a folder is missing or has no finished member, one is named twice or is this run's own, or it holds out
        clips by another split.
    """
    folders = [Path(folder).resolve() for folder in folders]
    places = {Path(members).resolve(), *((folder / "members").resolve() for folder in folders)}
    if len(places) <= len(folders):
        raise KitError("--beside names a run twice, or this run itself; its members would count more than others.")
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise KitError(f"there is no work folder {folder} whose members could be averaged, too.")
        theirs, _ = shared_recipe(folder / "members", finished_members(folder / "members"))
        if theirs.split != recipe.split:
            raise KitError(
                f"the members in {folder} were trained with split={theirs.split}, those of this run with "
                f"split={recipe.split}: what the one held out the other may have heard."
            )
        found.append((folder, theirs))
    return found


def collect_beside(result, data, folders, competition, *, on_bad="fail"):
    """Average all finished members of other runs, too: members that differ in their features err on different clips.

    Parameters
    ----------
    result : Result
    data : TrainingData
        What `result` is of.
    folders : sequence of path-like
        Work folders of other runs over the same clips, with any features and any recipe, but the same split.
    competition : Competition
    on_bad : str
        As in `prepare`.

    Returns
    -------
    Result
        Clips held out are those that every run held out.

    Raises
    ------
    KitError
        As `runs_beside`, `collect` and `prepare` do; and if a run is of other clips, labels or songs.
    """
    others = []
    for folder, recipe in runs_beside(result.members[0].parent, result.recipe, folders):
        other = Workspace(data=competition.root, folder=folder)
        its_data = prepare(competition, other, recipe, on_bad=on_bad)
        if not _same_clips(data, its_data):
            raise KitError(f"the members in {folder} are of other clips, labels or songs; they cannot be averaged.")
        others.append(collect(other.members, its_data))
    return together(result, others)


def _same_clips(data, other):
    one, two = (
        [each.train.ids.tolist(), each.test.ids.tolist(), each.labels.tolist(), each.songs.group.tolist()]
        for each in (data, other)
    )
    return one == two
