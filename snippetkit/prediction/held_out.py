"""What a run said of each train clip that it held out, as a table that two runs can be compared by, clip by clip."""

from pathlib import Path

import pandas as pd

from ..utils.errors import KitError
from .evaluation import interval

_COLUMNS = ("id", "group", "label", "predicted", "split")


def table(result, data):
    """What was said of every train clip that was held out.

    Parameters
    ----------
    result : Result
    data : TrainingData

    Returns
    -------
    DataFrame
        Columns ``id``, ``group`` (of songs), ``label``, ``predicted`` and ``split``, the same in every row.
    """
    rows = result.valid_clips
    return pd.DataFrame({
        "id": data.train.ids[rows],
        "group": data.songs.group[rows],
        "label": result.valid_labels,
        "predicted": result.held_out_answer.argmax(axis=1),
        "split": result.recipe.split,
    })


def compare(ours, theirs):
    """How much more accurate one run is than another on the clips that both held out.

    Parameters
    ----------
    ours, theirs : DataFrame
        As `table` gives them.

    Returns
    -------
    dict
        ``clips``, ``ours``, ``theirs`` (accuracies) and ``interval`` of the difference, over songs; see
        `evaluation.interval`. None where clips were held out at random: the members had heard the songs.

    Raises
    ------
    KitError
        If no clip is in both, one has another label or group of songs there, or one run held its clips out at random
        and the other by songs.
    """
    both = ours.merge(theirs, on="id", suffixes=("", "_there"))
    if both.empty:
        raise KitError("the two runs held out no clip in common.")
    if (both["label"] != both["label_there"]).any():
        raise KitError("the labels of the two runs differ; they are not of the same competition.")
    if (both["split"] != both["split_there"]).any():
        raise KitError(
            "one of the runs held its clips out at random, so that its members had heard their songs, and the other "
            "by songs; their accuracies cannot be compared."
        )
    if (both["group"] != both["group_there"]).any():
        raise KitError(
            "the two runs know other groups of songs, so what the one kept apart the other may have heard; "
            "train both with the same songs."
        )
    ours_right, theirs_right = (both[name] == both["label"] for name in ("predicted", "predicted_there"))
    gain = (ours_right.astype(int) - theirs_right.astype(int)).to_numpy()
    is_random = (both["split"] == "random").any()
    return {
        "clips": len(both),
        "ours": float(ours_right.mean()),
        "theirs": float(theirs_right.mean()),
        "interval": None if is_random else interval(gain, both["group"].to_numpy()),
    }


def read(folder):
    """The table that a finished run left in its work folder.

    Raises
    ------
    KitError
        If there is none, or it lacks a column.
    """
    path = Path(folder) / "held_out.csv"
    try:
        return pd.read_csv(path)[list(_COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"{path} cannot be read ({error}); run 04_predict there first.") from error
