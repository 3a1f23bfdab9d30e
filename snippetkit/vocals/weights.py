"""Where Spleeter's published 2-stems weights are: in a folder at hand, or still to be fetched from the release.

What is in the files is the business of the checkpoint; here they only have to exist.
"""

import os
from pathlib import Path

import platformdirs

from ..utils.errors import KitError, listed
from ..utils.paths import KAGGLE
from .release import FILES, RELEASE_SHA256, RELEASE_URL, DownloadFailed, download, lacking

_WAYS = (
    f"To have them without a download from here, fetch {RELEASE_URL} on a machine with a network, unpack it, and give "
    'the folder with --weights, or weights = "…" in the notebook 01_spleeter; on Kaggle upload it as a dataset and '
    "attach that, or switch the notebook's internet on. Or run without separation: --set separator=none, "
    'or settings = "separator=none".'
)


def find_weights(named="", *, kaggle=KAGGLE, url=RELEASE_URL, sha256=RELEASE_SHA256):
    """Find the folder with Spleeter's 2-stems weights; where there is none, download them into the cache.

    Looked at in this order: the folder `named`, what is attached on Kaggle, the environment variable MODEL_PATH
    (Spleeter's own), the cache, the release.

    Parameters
    ----------
    named : path-like
        The folder that a person gave, or one that holds it as ``2stems``; then no other place is looked at.
        Empty: none was given.
    kaggle : Path
        Where Kaggle mounts its folders.
    url, sha256 : str
        A ``.tar.gz`` of the weights, over HTTP, and its checksum in hexadecimal digits.

    Returns
    -------
    Path
        A folder that holds ``checkpoint``, ``model.index`` and ``model.data-00000-of-00001``, none of them empty.

    Raises
    ------
    KitError
        If `named` holds no weights, if different weights are attached, or if there are none and the download fails.
    """
    if str(named):
        return _given(Path(named))
    attached, incomplete = _attached(Path(kaggle) / "input")
    if attached:
        return attached
    model_path = os.environ.get("MODEL_PATH", "")
    cache = platformdirs.user_cache_path("snippetkit") / "spleeter-2stems"
    places = [Path(model_path, "2stems"), Path(model_path)] if model_path else []
    for folder in [*places, cache]:
        if not lacking(folder):
            return folder
    try:
        download(url, sha256, cache)
    except DownloadFailed as failure:
        passed_over = [f"{folder} lacks {listed(lacking(folder))}" for folder in incomplete]
        if model_path:
            passed_over.append(f"MODEL_PATH is {model_path}, which holds none")
        aside = f" ({listed(passed_over)})" if passed_over else ""
        raise KitError(f"Spleeter's weights could not be downloaded: {failure}{aside}. {_WAYS}") from failure
    return cache


def _given(folder):
    for place in (folder, folder / "2stems"):
        if not lacking(place):
            return place
    if folder.is_dir():
        inner = folder / "2stems"
        place = inner if inner.is_dir() else folder
        what = f"{place} holds no weights of Spleeter: {listed(lacking(place))} missing or empty"
    else:
        what = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    raise KitError(f"{what}; give the folder that holds what {RELEASE_URL} unpacks to: {listed(FILES)}.")


def _attached(root):
    """The folder below `root` that holds weights, or None; and the folders that hold only a part of them."""
    whole, incomplete = [], []
    for name, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = sorted(each for each in subfolders if not each.startswith("."))
        if "model.index" in files:
            folder = Path(name)
            (incomplete if lacking(folder) else whole).append(folder)
    # Spleeter's other models come in files of the same names, often side by side with this one.
    called_so = [folder for folder in whole if folder.name == "2stems"]
    nearly_so = [folder for folder in whole if "2stems" in folder.name]
    choice = called_so or nearly_so or whole
    # The index holds a checksum of every tensor, so it alone tells whether two folders hold the same.
    different = {(folder / "model.index").read_bytes(): folder for folder in reversed(choice)}
    if len(different) > 1:
        raise KitError(
            f"different weights of Spleeter are attached: {listed(sorted(different.values()))}; name the right folder "
            'with --weights, or weights = "…" in the notebook 01_spleeter.'
        )
    return (choice[0] if choice else None), incomplete
