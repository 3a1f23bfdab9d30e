"""Recordings that are made for demos."""

import operator
from pathlib import Path

from ..utils.artifacts import make_folder_once
from ..utils.parallel import parallel_map

_VERSION = 2    # of the synthesis


def make_recordings(folder, made_by, writers, *, title, jobs=-1):
    """Make the recordings of a demo in parallel, unless they exist.

    Parameters
    ----------
    folder : path-like
    made_by : dict
        Arguments of the demo, as JSON values.
    writers : dict
        Name of a file, with its folder, to the function that writes it; it takes the path.
    title : str
        Of the progress bar.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        As `artifacts.make_folder_once`.
    """
    def build(building):
        paths = [building / name for name in writers]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        parallel_map(operator.call, list(writers.values()), paths, jobs=jobs, title=title, unit="recording")

    contents = {Path(name).parts[0] for name in writers}
    return make_folder_once(folder, {"version": _VERSION, **made_by}, build, contents=contents)
