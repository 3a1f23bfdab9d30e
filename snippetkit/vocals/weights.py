"""Spleeter's published 2-stems weights: found in a folder at hand, or downloaded from the release into the cache."""

import os
import shutil
import tarfile
import zlib
from pathlib import Path

import platformdirs
from filelock import FileLock

from ..utils.errors import KitError, listed
from ..utils.folders import walk
from ..utils.paths import KAGGLE
from ..utils.progress import progress, say
from ..utils.storage import flush

RELEASE_URL = "https://github.com/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz"
# As in Spleeter's own checksum.json and tests.
RELEASE_SHA256 = "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692"
_RELEASE_BYTES = 73_109_797
FILES = ("checkpoint", "model.index", "model.data-00000-of-00001")

_ADVICE = (
    f"To run without this download, fetch {RELEASE_URL} on a machine with a network, unpack it, and give "
    'the folder with --weights, or weights = "…" in the notebook 01_spleeter. On Kaggle upload it as a dataset and '
    "attach that, or switch the notebook's internet on. Or run without separation: --set separator=none, "
    'or settings = "separator=none".'
)


class _DownloadFailed(Exception):
    """The text says why, as a clause."""


def find_weights(named="", *, kaggle=KAGGLE, url=RELEASE_URL, sha256=RELEASE_SHA256):
    """Find the folder with Spleeter's 2-stems weights, or download them into the cache.

    The order is: the folder `named`, what is attached on Kaggle, ``$MODEL_PATH/2stems`` (Spleeter's own variable),
    ``$MODEL_PATH`` itself, the cache, the release.

    Parameters
    ----------
    named : path-like
        A folder with the weights, or one that contains it as ``2stems``; no other place is then tried.
        Empty: none was given.
    kaggle : Path
        Where Kaggle mounts its folders.
    url, sha256 : str
        A ``.tar.gz`` of the weights, over HTTP, and its checksum in hexadecimal digits.

    Returns
    -------
    Path
        A folder that contains ``checkpoint``, ``model.index`` and ``model.data-00000-of-00001``, none of them empty.

    Raises
    ------
    KitError
        If `named` contains no weights, if different weights are attached, or if there are none and the download fails.
    """
    if str(named):
        return _named_folder(Path(named))
    attached, incomplete = _attached_folders(Path(kaggle) / "input")
    if attached:
        return attached
    model_path = os.environ.get("MODEL_PATH")
    cache = platformdirs.user_cache_path("snippetkit") / "spleeter-2stems"
    for folder in [Path(model_path, "2stems"), Path(model_path), cache] if model_path else [cache]:
        if not missing_files(folder):
            return folder
    try:
        _download(url, sha256, cache)
    except _DownloadFailed as failure:
        passed_over = [f"{folder} lacks {listed(missing_files(folder))}" for folder in incomplete]
        passed_over += [f"MODEL_PATH is {model_path}, which contains none"] if model_path else []
        aside = f" ({listed(passed_over)})" if passed_over else ""
        raise KitError(f"Spleeter's weights could not be downloaded: {failure}{aside}. {_ADVICE}") from failure
    return cache


def missing_files(folder):
    """Those of `FILES` that a folder lacks, or that are empty there."""
    return [name for name in FILES if not (os.path.isfile(folder / name) and os.path.getsize(folder / name))]


def _named_folder(folder):
    for place in (folder, folder / "2stems"):
        if not missing_files(place):
            return place
    place = folder / "2stems" if (folder / "2stems").is_dir() else folder
    if place.is_dir():
        problem = f"{place} contains no weights of Spleeter: {listed(missing_files(place))} missing or empty"
    else:
        problem = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    raise KitError(f"{problem}. Give the folder that {RELEASE_URL} unpacks to, with {listed(FILES)}.")


def _attached_folders(root):
    """The folder below `root` that contains weights, or None; and the folders that contain only a part of them."""
    complete, incomplete = [], []
    for folder, files in walk(root, key=lambda folder: folder.name, on_error=_say_skipped):
        if folder / "model.index" in files:
            (incomplete if missing_files(folder) else complete).append(folder)
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


def _download(url, sha256, folder):
    """Put the weights into `folder`, complete or not at all. One process downloads, others wait for it."""
    import pooch
    import requests

    building = folder.with_name(f".part-{folder.name}")
    logger = pooch.get_logger()
    level = logger.level
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not missing_files(folder):
                return
            shutil.rmtree(building, ignore_errors=True)     # of a process that was killed
            try:
                logger.setLevel("CRITICAL")     # pooch reports each download as a warning
                # The kit's own bar: pooch's is tqdm.auto. pooch takes the total from the answer; 0 means "no bar".
                with progress(total=_RELEASE_BYTES, title="Spleeter's weights", unit="B") as bar:
                    bar.unit_scale = True
                    pooch.retrieve(
                        url, f"sha256:{sha256}", fname="2stems.tar.gz", path=building,
                        downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16),
                        processor=pooch.Untar(extract_dir="unpacked"),
                    )
                _install(building / "unpacked", folder)
            finally:
                logger.setLevel(level)
                shutil.rmtree(building, ignore_errors=True)
    except requests.RequestException as error:      # first, because it is also an OSError, and may be a ValueError
        raise _DownloadFailed(_reason(error, url)) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _DownloadFailed(f"the archive cannot be unpacked: {error}") from error
    except OSError as error:
        raise _DownloadFailed(f"{folder} could not be written: {error.strerror or error}") from error
    except ValueError as error:
        raise _DownloadFailed(f"the SHA-256 of {url} differs from that of the release") from error


def _install(unpacked, folder):
    """Give the unpacked files, at the archive's top or in one folder, their final name."""
    source = next((path.parent for path in sorted(unpacked.rglob("model.index"))), unpacked)
    if missing := missing_files(source):
        raise _DownloadFailed(f"the archive lacks {listed(missing)}")
    fresh = unpacked.with_name(folder.name)
    fresh.mkdir()
    for name in FILES:
        with open(source / name, "rb") as file:
            flush(file)     # or a crash may leave the name without the contents
        os.rename(source / name, fresh / name)
    if os.path.lexists(folder):
        os.rename(folder, unpacked.with_name("damaged"))    # an incomplete folder of that name
    os.rename(fresh, folder)


def _reason(error, url):
    import requests

    if isinstance(error, requests.HTTPError):
        return f"{url} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer from {url}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {url} broke off"
    # requests wraps the system's error several times; the innermost one is readable.
    cause = error
    while cause and not getattr(cause, "strerror", None):
        cause = cause.__cause__ or cause.__context__
    return f"no answer from {url}: {cause.strerror if cause else error}"
