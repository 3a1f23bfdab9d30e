"""Artefacts on disk: a JSON record beside each one says how it was made.

An artefact that was made differently is refused, and the message names the difference. A complete artefact is not made
again. Nothing here knows what an artefact contains.
"""

import hashlib
import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .errors import KitError, report_os_error
from .storage import flush, read_json, write_json

FORMAT = 2  # of all records; a record of another format comes from another version of the kit


def digest(content):
    """Twelve hexadecimal digits of the SHA-256 of some JSON content.

    Examples
    --------
    >>> digest({"epochs": 10, "lr": 0.1}) == digest({"lr": 0.1, "epochs": 10})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(paths):
    """Twelve hexadecimal digits that change when a file of a set changes.

    They depend on the name and the size of each file and on a kilobyte from its middle: reading every byte of 14,000
    clips would take longer than the stage that is to be skipped. An edit that keeps both the size and that kilobyte is
    not noticed. A file that cannot be read counts with its name.

    Parameters
    ----------
    paths : iterable of Path
    """
    state = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(size // 2)
                state.update(f"{path.name} {size} ".encode() + file.read(1024))
        except OSError:
            state.update(f"{path.name} unreadable ".encode())
    return state.hexdigest()[:12]


def difference(recorded, wanted):
    """Describe the values in which a record differs from what is wanted, for an error message.

    Parameters
    ----------
    recorded, wanted : dict
        Values may be dicts themselves. Only what is in `wanted` is compared.

    Returns
    -------
    str
        Such as ``epochs: 10, now 20; different clips``; empty if nothing differs.

    Examples
    --------
    >>> difference({"recipe": {"epochs": 10, "lr": 0.1}}, {"recipe": {"epochs": 20, "lr": 0.1}})
    'epochs: 10, now 20'
    """
    parts = []
    for name, value in wanted.items():
        old = recorded.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            parts += [inner] if (inner := difference(old, value)) else []
        elif old != value:
            # the digits of a fingerprint mean nothing to the reader
            is_fingerprint = any(re.fullmatch("[0-9a-f]{12}", str(entry)) for entry in (old, value))
            parts.append(f"different {name.replace('_', ' ')}" if is_fingerprint else f"{name}: {old!r}, now {value!r}")
    return "; ".join(parts)


def is_record(content):
    """Whether the content of a JSON file is a record that this version of the kit reads."""
    return isinstance(content, dict) and content.get("format") == FORMAT and isinstance(content.get("made_by"), dict)


def read_record(path):
    """Read a record; None if there is none.

    Parameters
    ----------
    path : path-like
        The JSON file.

    Returns
    -------
    dict or None
        With the key ``made_by``.

    Raises
    ------
    KitError
        If it is damaged, or was written by another version of the kit.
    """
    record = read_json(path)
    if record is not None and not is_record(record):
        raise KitError(
            f"{path} is damaged, or was written by another version of snippetkit. Choose another output folder, or "
            f"delete {Path(path).parent} to start again."
        )
    return record


def write_record(path, made_by, **about):
    """Write and return a record: `made_by` is compared later, `about` is kept for the reader."""
    record = {"format": FORMAT, "made_by": made_by, **about}
    write_json(path, record)
    return record


def require_match(path, made_by, *, artifact, exists=False, delete=""):
    """Refuse an artefact that was made differently.

    Parameters
    ----------
    path : path-like
        The record.
    made_by : dict
        How the artefact is to be made, as JSON values. What it does not contain is not compared.
    artifact : path-like
        Named in the message.
    exists : bool
        Whether the artefact is there; without its record it is refused, too.
    delete : str
        What the message suggests to delete; the artefact itself if empty.

    Returns
    -------
    dict or None
        The record; None if there is none.

    Raises
    ------
    KitError
        If the artefact was made differently or has no record; as `read_record`.
    """
    record = read_record(path)
    delete = delete or artifact
    if record is None and exists:
        raise KitError(
            f"{artifact} has no {Path(path).name}, so how it was made is unknown. Choose another folder, or delete "
            f"{delete} if nothing in it is needed."
        )
    if record and (differing := difference(record["made_by"], made_by)):
        advice = f"Choose another output folder, or delete {delete} to start again."
        raise KitError(f"{artifact} was created differently ({differing}). {advice}")
    return record


def claim(path, made_by, *, artifact, exists=False, delete="", **about):
    """Write the record of an artefact before it is made, or check the existing record.

    An artefact that is only half made is then protected like a complete one. Parameters and errors are those of
    `require_match`; `about` is written to a new record.

    Returns
    -------
    dict
        The record.
    """
    record = require_match(path, made_by, artifact=artifact, exists=exists, delete=delete)
    return record or write_record(path, made_by, **about)


def make_folder_once(folder, made_by, build, *, contents):
    """Make a folder under a temporary name and rename it when it is complete; a complete one is kept.

    Parameters
    ----------
    folder : path-like
        It must not exist, be empty, or hold the result of an earlier call with the same `made_by`.
    made_by : dict
        What it is made from, as JSON values; kept inside as ``made_by.json``.
    build : callable
        Called with the Path of the folder to write into.
    contents : set of str
        Names that `build` writes. A folder that a killed run left behind is removed if it holds nothing else.

    Returns
    -------
    Path

    Raises
    ------
    KitError
        If the folder holds anything else, or cannot be written.
    """
    folder = Path(folder)
    if folder.is_file():
        raise KitError(f"{folder} is a file. Choose a new folder.")
    is_filled = folder.is_dir() and any(folder.iterdir())
    if require_match(folder / "made_by.json", made_by, artifact=folder, exists=is_filled):
        return folder
    target = folder.resolve()   # gives '.' a name
    building = target.with_name(f".part-{target.name}")
    with report_os_error(f"{folder} could not be written", "Make room or choose another folder, then run again."):
        if building.exists():
            if not {path.name for path in building.iterdir()} <= {*contents, "made_by.json", ".part-made_by.json"}:
                raise KitError(f"{building} holds other files and is in the way. Move it, then run again.")
            shutil.rmtree(building)
        building.mkdir(parents=True)
        build(building)
        write_record(building / "made_by.json", made_by)
        os.replace(building, target)
    return folder


def rows_done(path, made_by):
    """Number of rows in the unfinished array of an earlier run; 0 if that array was made differently."""
    note = read_json(path.with_suffix(".progress.json"))
    is_ours = isinstance(note, dict) and note.get("made_by") == digest(made_by) and isinstance(note.get("rows"), int)
    return note["rows"] if is_ours and path.with_suffix(".partial.npy").exists() else 0


def write_rows(path, made_by, shape, blocks, bar, *, dtype="<f4"):
    """Write the missing rows of an array block by block, and rename the array when it is complete; as `open_rows`.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (some rows, ...)
        From row `rows_done` on.
    bar : tqdm
        Updated by the rows of each block.
    """
    with open_rows(path, made_by, shape, dtype=dtype) as append:
        for values in blocks:
            append(values)
            bar.update(len(values))


@contextmanager
def open_rows(path, made_by, shape, *, dtype="<f4"):
    """A context in which rows are appended to an array; the array is renamed at its end, when all must be there.

    Until then its name is ``<name>.partial.npy``, and ``<name>.progress.json`` counts the rows that are on disk.

    Parameters
    ----------
    path : Path
        Ends in ``.npy``.
    made_by : list or dict
        JSON values.
    shape : tuple of int
        Of the whole array.
    dtype : str
        As in the file; float32 by default.

    Yields
    ------
    callable
        Takes the next rows, an ndarray; the first are those from row `rows_done` on.

    Raises
    ------
    KitError
        If the array cannot be written, for example to a full disk.
    """
    partial, note = path.with_suffix(".partial.npy"), path.with_suffix(".progress.json")
    done = rows_done(path, made_by)

    def append(values):
        nonlocal done
        file.write(np.ascontiguousarray(values, dtype))
        flush(file)     # the rows must be on disk before the note that counts them
        done += len(values)
        write_json(note, {"made_by": digest(made_by), "rows": done})

    with report_os_error(f"{partial} could not be written", "Completed rows are kept. Make room, then run again."):
        # Not a memory map: on a full disk it would end the process with a bus error.
        with open(partial, "r+b" if done else "wb") as file:
            header = {"descr": dtype, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
            file.seek(done * np.dtype(dtype).itemsize * int(np.prod(shape[1:])), os.SEEK_CUR)
            yield append
        os.replace(partial, path)
        note.unlink(missing_ok=True)
