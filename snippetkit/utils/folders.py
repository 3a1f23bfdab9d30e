"""List folders: links are followed, cycles of links end, and a folder that cannot be read is never taken for empty."""

import os
from collections import deque
from pathlib import Path

from .errors import KitError


def refuse_unreadable(error):
    """Raise a sentence for the OSError of a folder that cannot be listed."""
    raise KitError(f"the folder {error.filename} cannot be read: {error.strerror}.") from error


def files_in(folder):
    """List the files of one folder by name, without hidden files and without subfolders.

    Returns
    -------
    list of Path
        A link that leads nowhere is listed, so that whoever opens it can name it.

    Raises
    ------
    KitError
        If the folder cannot be read.
    """
    _, _, names = next(os.walk(folder, onerror=refuse_unreadable))
    return _visible(folder, names)


def subfolders_of(folder):
    """List the subfolders of one folder by name, without hidden ones; raises as `files_in`."""
    _, names, _ = next(os.walk(folder, onerror=refuse_unreadable))
    return _visible(folder, names)


def walk(root, *, key=lambda folder: None, on_error=refuse_unreadable):
    """Yield each folder below `root`, itself included, with its files as of `files_in`.

    Links are followed, after the folders that need none. Hidden folders are skipped.

    Parameters
    ----------
    root : path-like
    key : callable
        Takes the path of a folder. A folder that is reached again is listed again only if its path has another key, and
        never below itself.
    on_error : callable
        Called with the OSError of a folder that cannot be listed, which is then skipped.

    Yields
    ------
    folder : Path
    files : list of Path
    """
    seen, folders, links = set(), deque([(os.fspath(root), ())]), deque()
    while folders or links:
        folder, parents = folders.popleft() if folders else links.popleft()
        real = os.path.realpath(folder)
        identity = real, key(Path(folder))
        if real in parents or identity in seen:
            continue
        seen.add(identity)
        for _, subfolders, names in os.walk(folder, onerror=on_error):
            yield Path(folder), _visible(folder, names)
            for path in _visible(folder, subfolders):
                (links if os.path.islink(path) else folders).append((path, (*parents, real)))
            break


def _visible(folder, names):
    """Paths by name, without hidden ones."""
    return [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
