"""Fetch Spleeter's published weights: checked, unpacked and moved into place, whole or not at all."""

import logging
import os
import shutil
import tarfile
import tempfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ..utils.errors import listed
from ..utils.progress import progress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RELEASE_URL = "https://github.com/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz"
# As in Spleeter's own checksum.json and tests.
RELEASE_SHA256 = "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692"
_RELEASE_BYTES = 73_109_797

FILES = ("checkpoint", "model.index", "model.data-00000-of-00001")


class DownloadFailed(Exception):
    """The text says why, as a clause."""


def lacking(folder):
    """The files that a folder of weights would have to hold, less those it does hold.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of str
    """
    return [name for name in FILES if not (os.path.isfile(folder / name) and os.path.getsize(folder / name))]


def download(url, sha256, folder):
    """Put the weights into `folder`, whole or not at all, however many processes try at once.

    Parameters
    ----------
    url, sha256 : str
        A ``.tar.gz`` of the weights, over HTTP, and its checksum in hexadecimal digits.
    folder : Path

    Raises
    ------
    DownloadFailed
        If anything goes wrong; nothing is then left that could be taken for weights.
    """
    import requests

    try:
        with _workplace(folder) as workplace:
            archive = _fetch(url, sha256, workplace)
            fresh = workplace / folder.name
            _unpack(archive, fresh)
            _install(fresh, folder, aside=workplace / "damaged")
    except requests.RequestException as error:  # before OSError, which it is as well
        raise DownloadFailed(_reason(error, url)) from error
    except OSError as error:
        raise DownloadFailed(f"{folder} could not be written: {error.strerror or error}") from error


@contextmanager
def _workplace(target):
    """A folder for one download, on the file system of its final place; gone at the end.

    A process that is killed leaves it behind; the next attempt removes it, but not while another process downloads,
    whose folder looks just the same.
    """
    parent, prefix = target.parent, f".part-{target.name}-"
    parent.mkdir(parents=True, exist_ok=True)
    with open(parent / f".{target.name}.lock", "wb") as lock:
        if fcntl:
            with suppress(OSError):  # somebody else is downloading, or this file system has no locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for leftover in parent.glob(f"{prefix}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_SH)  # the system takes it back with the file or the process
        with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def _fetch(url, sha256, workplace):
    """The archive, checked."""
    import pooch

    # The kit's own bar: pooch's is tqdm.auto. pooch sets the total from the answer; 0 would stand for "no bar".
    with _quiet(pooch.get_logger()), progress(total=_RELEASE_BYTES, title="Spleeter's weights", unit="B") as bar:
        bar.unit_scale = True
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16)
        try:
            return pooch.retrieve(url, f"sha256:{sha256}", fname="2stems.tar.gz", path=workplace, downloader=downloader)
        except ValueError as error:
            if isinstance(error, OSError):  # requests counts a malformed address as both
                raise
            raise DownloadFailed(f"what came from {url} is not what was published, its SHA-256 differs") from error


@contextmanager
def _quiet(logger):
    # pooch tells each download as if it were a warning.
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unpack(archive, folder):
    """Write the weights in an archive to a new folder; nothing else in it is looked at."""
    folder.mkdir()
    try:
        with tarfile.open(archive) as members:
            for member in members:
                path = PurePosixPath(member.name)  # drops a leading ./
                # At the top or in one folder; only the name is used, so no member can choose where it goes.
                if path.name in FILES and len(path.parts) <= 2 and path.parts[0] not in ("..", "/") and member.isreg():
                    _write(folder / path.name, members.extractfile(member))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadFailed(f"the archive cannot be unpacked: {error}") from error
    if lacking(folder):
        raise DownloadFailed(f"the archive lacks {listed(lacking(folder))}")


def _write(path, source):
    with source, open(path, "wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())  # or a crash may leave the name with nothing behind it


def _install(fresh, folder, *, aside):
    """Give a whole folder its final name, unless another process was faster."""
    try:
        os.rename(fresh, folder)
    except OSError:
        if not lacking(folder):
            return
        if not os.path.lexists(folder):
            raise
        os.rename(folder, aside)  # something of that name that is no use
        os.rename(fresh, folder)


def _reason(error, url):
    import requests

    if isinstance(error, requests.HTTPError):
        return f"{url} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer from {url}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {url} broke off half-way"
    # requests wraps what the system says several times over; the innermost is the one that a person can read.
    cause = error
    while cause and not getattr(cause, "strerror", None):
        cause = cause.__cause__ or cause.__context__
    return f"no answer from {url}: {cause.strerror if cause else error}"
