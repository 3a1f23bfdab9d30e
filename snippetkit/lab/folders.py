"""Work folder and data folder of the lab's notebooks."""

from pathlib import Path

from ..utils.errors import KitError
from ..utils.paths import runs_folder


def lab_folder(name, data="", out="", *, make):
    """Find the data folder and create the work folder.

    Parameters
    ----------
    name : str
        Of the work folder below ``runs``, such as 'identify'.
    data, out : path-like
        Empty `data`: what `make` makes in the work folder. Empty `out`: ``runs/<name>``, with own data
        ``runs/<name>-<name of the data folder>``.
    make : callable
        Takes a folder, fills it and returns it.

    Returns
    -------
    work, data : Path

    Raises
    ------
    KitError
        If the data folder does not exist, or the work folder cannot be created.
    """
    work = Path(out).resolve() if str(out) else runs_folder() / (f"{name}-{Path(data).name}" if str(data) else name)
    if str(data) and not Path(data).is_dir():
        raise KitError(f"there is no data folder {data}. Give the folder with the recordings.")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"the work folder {work} cannot be created: {error.strerror or error}.") from error
    return work, Path(data).resolve() if str(data) else make(work / "sounds")
