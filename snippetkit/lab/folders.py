"""The folders of the lab's notebooks: recordings and results."""

from pathlib import Path

from ..utils.errors import KitError, report_os_error
from ..utils.folders import files_in
from ..utils.parameters import path
from ..utils.paths import runs_folder


def lab_folder(name, data="", out="", *, make):
    """Find the data folder of a notebook and create its work folder.

    Parameters
    ----------
    name : str
        Of the notebook, such as 'identify'.
    data : path-like
        The data folder; empty: `make` makes one in the work folder.
    out : path-like
        The work folder; empty: ``runs/<name>``, or ``runs/<name>-<name of the data folder>``.
    make : callable
        Takes a path, makes a demo there and returns the path.

    Returns
    -------
    work, data : Path

    Raises
    ------
    KitError
        If there is no such data folder, it cannot be read, or the work folder cannot be created.
    """
    data, out = path(data), path(out)
    work = Path(out).resolve() if out else runs_folder() / (f"{name}-{Path(data).name}" if data else name)
    if data:
        with report_os_error(f"the data folder {data} cannot be read"):
            if not Path(data).is_dir():
                raise KitError(f"there is no data folder {data}. Give the folder that holds the recordings.")
        files_in(data)      # refuses a folder that cannot be listed
    with report_os_error(f"the work folder {work} cannot be created"):
        work.mkdir(parents=True, exist_ok=True)
    return work, Path(data).resolve() if data else make(work / "sounds")
