"""From the files of a competition to what a member sees: checked, separated, turned into features, in one call."""

from ..features.extraction import extract, is_complete
from ..data.labels import CLASSES
from .members import TrainingData
from ..songs.table import find_songs
from ..vocals.separate import separate
from ..vocals.sources import check


def prepare(competition, workspace, recipe, *, on_bad="fail", songs="", cluster=""):
    """Run the stages before training, or find them complete; complete features need no vocals beside them.

    Parameters
    ----------
    competition : Competition
    workspace : Workspace
    recipe : Recipe
    on_bad : str
        As in `vocals.sources.check`.
    songs : path-like
        A table of songs of one's own, as in `songs.table.find_songs`.
    cluster : str
        As in `features.extract`.

    Returns
    -------
    TrainingData

    Raises
    ------
    KitError
        As `vocals.separate.separate`, `features.extract` and `songs.table.find_songs` do.
    """
    splits = check(competition, workspace.vocals, recipe, on_bad=on_bad)
    paths = [workspace.features / "train.npy", workspace.features / "test.npy"]
    if not all(is_complete(split, path, recipe) for split, path in zip(splits, paths)):
        splits = separate(competition, workspace.vocals, recipe, on_bad=on_bad)
    train, test = (extract(split, path, recipe, cluster=cluster) for split, path in zip(splits, paths))
    labels = competition.labels[train.ids]
    found = find_songs(*splits, labels, workspace.songs, recipe, own=songs)
    return TrainingData(train=train, labels=labels, test=test, classes=len(CLASSES), songs=found)
