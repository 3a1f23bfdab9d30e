"""What a run said of each train clip that it held out, as a table that two runs can be compared by, clip by clip."""

from pathlib import Path

import pandas as pd

from .errors import KitError
from .evaluation import interval
from .members import average


def table(result, data):
    """What was said of every train clip that was held out.

    Parameters
    ----------
    result : Result
    data : TrainingData

    Returns
    -------
    DataFrame
        Columns ``id``, ``group`` (of songs), ``label`` and ``predicted``.
    """
    rows = result.valid_clips
    return pd.DataFrame({
        "id": data.train.ids[rows],
        "group": data.songs.group[rows],
        "label": result.valid_labels,
        "predicted": average(result.valid_logits).argmax(axis=1),
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
        `evaluation.interval`.

    Raises
    ------
    KitError
        If no clip is in both, or one has another label there.
    """
    both = ours.merge(theirs, on="id", suffixes=("", "_there"))
    if both.empty:
        raise KitError("the two runs held out no clip in common.")
    if (both["label"] != both["label_there"]).any():
        raise KitError("the labels of the two runs differ; they are not of the same competition.")
    ours_right, theirs_right = (both[name] == both["label"] for name in ("predicted", "predicted_there"))
    return {
        "clips": len(both),
        "ours": float(ours_right.mean()),
        "theirs": float(theirs_right.mean()),
        "interval": interval((ours_right.astype(int) - theirs_right.astype(int)).to_numpy(), both["group"].to_numpy()),
    }


def read(folder):
    """The table that a finished run left in its work folder.

    Raises
    ------
    KitError
        If there is none.
    """
    path = Path(folder) / "held_out.csv"
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise KitError(f"{path} cannot be read ({error}); run 04_predict there first.") from error
