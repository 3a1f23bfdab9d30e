"""Where the lab's notebooks find their sounds and keep what they make."""

from pathlib import Path

from ..utils.errors import KitError
from ..utils.paths import runs_folder


def lab_folder(name, data="", out="", *, make):
    """Settle both.

    Parameters
    ----------
    name : str
        'identify': the work folder is ``runs/identify`` unless `out` names one.
    data, out : path-like
        Empty: what `make` makes, in the work folder; and ``runs/<name>``, or ``runs/<name>-<name of the data folder>``.
    make : callable
        Takes a folder and gives it, filled.

    Returns
    -------
    work, data : Path

    Raises
    ------
    KitError
        If there is no such data folder, or the work folder cannot be made.
    """
    work = Path(out).resolve() if str(out) else runs_folder() / (f"{name}-{Path(data).name}" if str(data) else name)
    if str(data) and not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}; give the folder that holds the recordings.")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"the work folder {work} cannot be made: {error.strerror or error}.") from error
    return work, Path(data).resolve() if str(data) else make(work / "sounds")
