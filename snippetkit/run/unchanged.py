"""A finished run in which no file has changed since its notebooks were executed needs no kernels."""

import os
from pathlib import Path

from ..utils.artifacts import digest, is_record, write_record
from ..utils.folders import walk
from ..utils.storage import read_json

_RECORD = "executed.json"
# The record itself, and what 01_spleeter writes in any case; its content is among the parameters.
_IGNORED = {_RECORD, "choices.json"}


def state_of_inputs(parameters, places, folder):
    """What a run depends on, in JSON; to be taken before the run, since files may change while it works.

    A file counts as changed if its size or its time of modification is another one. Hidden files do not count.

    Parameters
    ----------
    parameters : dict
        Of the notebooks.
    places : iterable of path-like
        Files and folders that the run reads. What they hold of the work folder is left out.
    folder : Path
        The work folder.
    """
    files = [entry for place in places for entry in _entries(Path(place), leave_out=folder.resolve())]
    return {"parameters": {name: str(value) for name, value in parameters.items()}, "inputs": digest(files)}


def is_unchanged(folder, inputs):
    """Whether `mark_executed` was called with these inputs, and no file of the work folder has changed since."""
    record = read_json(folder / _RECORD)
    return is_record(record) and record["made_by"] == _state(folder, inputs)


def mark_executed(folder, inputs):
    """Record that the notebooks were executed and the run is finished.

    Parameters
    ----------
    folder : Path
        The work folder.
    inputs : dict
        As from `state_of_inputs`.
    """
    write_record(folder / _RECORD, _state(folder, inputs))


def _state(folder, inputs):
    return inputs | {"made": digest(list(_entries(folder)))}


def _entries(place, *, leave_out=None):
    """Path, size and time of modification of each file; links are followed."""
    if place.is_file():
        yield _entry(place)
    elif place.is_dir():
        for folder, files in walk(place, on_error=lambda error: None):
            if folder.name != "__pycache__" and not (leave_out and folder.resolve().is_relative_to(leave_out)):
                yield from (_entry(path) for path in files if path.name not in _IGNORED)


def _entry(path):
    try:
        status = os.stat(path)
    except OSError:     # a link that leads nowhere
        return str(path), 0, 0
    return str(path), status.st_size, status.st_mtime_ns
