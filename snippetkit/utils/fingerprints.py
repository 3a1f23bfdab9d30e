"""What tells one set of choices, or of clips, from another: a few digits to write down, and the difference in words."""

import hashlib
import json
import os

from .errors import KitError


def digest(content):
    """Twelve hexadecimal digits of the SHA-256 of some JSON content."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(ours, theirs):
    """Name the choices in which two parts of a recipe differ, as ``name=ours, there theirs``.

    Parameters
    ----------
    ours, theirs : dict
        As `Recipe.part` gives them.
    """
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return "; ".join(f"{name}={ours.get(name)!r}, there {theirs.get(name)!r}" for name in names)


def fingerprint(paths):
    """Twelve hexadecimal digits that tell one set of clips from another.

    They depend on each file's name, its size and a kilobyte from its middle: two MP3s of different sound differ there,
    and reading every byte of 14,000 clips would take longer than the stage that is to be skipped. An edit that spares
    that kilobyte and keeps the size is not noticed.

    Parameters
    ----------
    paths : iterable of Path

    Raises
    ------
    KitError
        If a file cannot be read.
    """
    state = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(size // 2)
                state.update(f"{path.name} {size} ".encode() + file.read(1024))
        except OSError as error:
            raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error
    return state.hexdigest()[:12]
