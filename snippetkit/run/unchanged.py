"""A finished run in which no file has changed since its notebooks were executed needs no kernels."""

import os
from pathlib import Path

from ..utils.artifacts import digest, is_record, write_record
from ..utils.storage import read_json

_RECORD = "executed.json"
# The record itself, and what 01_spleeter writes in any case; its content is among the parameters.
_IGNORED = {_RECORD, "choices.json", "__pycache__"}


def is_unchanged(folder, parameters, places):
    """Whether `mark_executed` was called with these parameters, and no file was added, changed or removed since.

    A file counts as changed if its size or its time of modification is another one.

    Parameters
    ----------
    folder : Path
        The work folder.
    parameters : dict
        Of the notebooks.
    places : iterable of path-like
        Files and folders that the run reads or writes. Hidden files in them are ignored.
    """
    record = read_json(folder / _RECORD)
    return is_record(record) and record["made_by"] == _state(parameters, places)


def mark_executed(folder, parameters, places):
    """Record that the notebooks were executed and the run is finished; same parameters as `is_unchanged`."""
    write_record(folder / _RECORD, _state(parameters, places))


def _state(parameters, places):
    files = sorted(entry for place in places for entry in _entries(Path(place)))
    return {"parameters": {name: str(value) for name, value in parameters.items()}, "files": digest(files)}


def _entries(place):
    """Path, size and time of modification of each file."""
    if place.is_file():
        status = place.stat()
        yield str(place), status.st_size, status.st_mtime_ns
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if _counts(name)]
        for name in filter(_counts, names):
            status = os.lstat(os.path.join(folder, name))
            yield os.path.join(folder, name), status.st_size, status.st_mtime_ns


def _counts(name):
    return not name.startswith(".") and name not in _IGNORED
