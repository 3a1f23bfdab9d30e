"""How a file gets its final name: written beside it, flushed to the disk, then renamed.

Whoever finds a file under its final name may trust it to be whole. Nothing here knows what is in the file.
"""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from .errors import KitError


@contextmanager
def replacing(path):
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    If the block fails, the temporary file goes and what stood at `path` before still stands there. A process
    that is killed leaves the temporary file behind; the next attempt removes it.

    Parameters
    ----------
    path : path-like
        The final name; its folder is made if need be.

    Yields
    ------
    Path
        In the same folder, with the same suffix.

    Raises
    ------
    KitError
        If the disk refuses (full, read-only, not permitted).
    """
    path = Path(path)
    temporary = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # a leftover may be a link, and writing would go through it
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        if os.name != "nt":  # Windows opens no folders
            _flush(path.parent)
    except BaseException as error:
        _remove_if_possible(temporary)
        if isinstance(error, OSError):
            raise KitError(
                f"{path} could not be written: {error.strerror or error}. "
                "What was saved before is untouched; make room or choose another output folder, then run again."
            ) from error
        raise


def write_json(path, content):
    """Write `content` as JSON under `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path, table):
    """Write a DataFrame as CSV under `path`, without its index, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def read_json(path):
    """Read a JSON file; None where there is none.

    Raises
    ------
    KitError
        If the file is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise KitError(f"{path} is damaged ({error}); delete it and run again.") from error


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_possible(path):
    # The first error is the one to report, so a second one while tidying up stays quiet.
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass
