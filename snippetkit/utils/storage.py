"""Write files completely or not at all: to a temporary name, flushed to the disk where it can be, then renamed.

A file under its final name is therefore always complete. Nothing here knows what is in the file.
"""

import errno
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import KitError, report_os_error

# What fsync answers on file systems that cannot flush: VirtualBox shares, some network drives.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def replacing(path):
    """Yield a temporary path to write to, and rename it to `path` when the block succeeds.

    If the block fails, the temporary file is deleted and an earlier file at `path` stays as it is. A process that is
    killed leaves its temporary file behind; the next attempt deletes it.

    Parameters
    ----------
    path : path-like
        The final name. Its folder is created if necessary.

    Yields
    ------
    Path
        In the same folder, with the same suffix.

    Raises
    ------
    KitError
        If the disk is full or read-only, or permission is missing.
    """
    path = Path(path)
    temporary = path.with_name(f".part-{path.name}")
    advice = "Earlier files are untouched. Make room or choose another output folder, then run again."
    with report_os_error(f"{path} could not be written", advice):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)   # a leftover may be a link, and writing would follow it
            yield temporary
            with open(temporary, "rb") as file:
                flush(file)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):     # the first error is the one to report
                temporary.unlink(missing_ok=True)
            raise
    with suppress(OSError):     # the file stands; not every system can open or flush a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def flush(file):
    """Write what is in the system's memory of an open file to the disk, if the file system can do that."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def write_json(path, content):
    """Write `content` as JSON, completely or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")  # names of files that are not UTF-8


def write_table(path, table):
    """Write a DataFrame as CSV without its index, completely or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", errors="surrogateescape")


def read_json(path):
    """Read a JSON file; None if it does not exist.

    Raises
    ------
    KitError
        If the file cannot be read or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise KitError(f"{path} is damaged ({error}). Delete it and run again.") from error
