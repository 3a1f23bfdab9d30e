"""From the files of a competition to what a member sees: checked, separated, turned into features, in one call."""

from .features import extract, is_complete
from .labels import CLASSES
from .members import TrainingData
from .vocals.separate import separate
from .vocals.sources import check


def prepare(competition, workspace, recipe, *, on_bad="fail"):
    """Run the stages before training, or find them complete; complete features need no vocals beside them.

    Parameters
    ----------
    competition : Competition
    workspace : Workspace
    recipe : Recipe
    on_bad : str
        As in `vocals.sources.check`.

    Returns
    -------
    TrainingData

    Raises
    ------
    KitError
        As `vocals.separate.separate` and `features.extract` do.
    """
    splits = check(competition, workspace.vocals, recipe, on_bad=on_bad)
    paths = [workspace.features / "train.npy", workspace.features / "test.npy"]
    if not all(is_complete(split, path, recipe) for split, path in zip(splits, paths)):
        splits = separate(competition, workspace.vocals, recipe, on_bad=on_bad)
    train, test = (extract(split, path, recipe) for split, path in zip(splits, paths))
    return TrainingData(train=train, labels=competition.labels[train.ids], test=test, classes=len(CLASSES))
