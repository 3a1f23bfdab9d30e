"""From the files of a competition to what a member sees: checked, separated, turned into features, in one call."""

from .features import extract
from .labels import CLASSES
from .members import TrainingData
from .vocals.separate import separate


def prepare(competition, workspace, recipe, *, on_bad="fail"):
    """Run the stages before training, or find them complete.

    Parameters
    ----------
    competition : Competition
    workspace : Workspace
    recipe : Recipe
    on_bad : str
        As in `vocals.separate.separate`.

    Returns
    -------
    TrainingData

    Raises
    ------
    KitError
        As `vocals.separate.separate` and `features.extract` do.
    """
    train_clips, test_clips = separate(competition, workspace.vocals, recipe, on_bad=on_bad)
    train = extract(train_clips, workspace.features / "train.npy", recipe)
    test = extract(test_clips, workspace.features / "test.npy", recipe)
    return TrainingData(train=train, labels=competition.labels[train.ids], test=test, classes=len(CLASSES))
