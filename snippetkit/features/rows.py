"""A large array on the disk that is written row by row, claimed for one purpose, and gone on with after a kill.

Beside ``train.npy`` lies ``train.json``, which says what the array is; while it grows it is ``train.partial.npy``, and
``train.progress.json`` counts the rows that are safe.
"""

import os

import numpy as np

from ..utils.errors import KitError
from ..utils.fingerprints import difference, digest
from ..recipe import completed
from ..utils.storage import read_json, write_json


def claim(path, identity, *, source):
    """Write the JSON, or make sure that the one there says the same; a complete array may have another source.

    It is written before the array: a run that stopped half-way is then as well guarded as a complete one.

    Parameters
    ----------
    path : Path
        The array; the JSON has the same name.
    identity : dict
        With ``recipe``, the choices behind the array.
    source : str

    Raises
    ------
    KitError
        If the array was made, or begun, by another recipe or from other clips.
    """
    note = path.with_suffix(".json")
    theirs = read_json(note)
    if theirs is None and path.exists():
        raise KitError(f"{path} has lost its {note.name}, so nobody knows what it holds; delete it and run again.")
    if theirs is None:
        write_json(note, {**identity, "source": source})
    elif difference(identity["recipe"], their_recipe := completed(theirs.get("recipe", {}), "features")):
        raise KitError(
            f"{path} was made by another recipe: here {difference(identity['recipe'], their_recipe)}. "
            "Choose another output folder, or delete its features and members to start anew."
        )
    elif theirs.get("weights") != identity.get("weights"):
        raise KitError(
            f"{path} was made from vocals that other weights separated; choose another output folder, "
            "or delete its features and members to start anew."
        )
    elif not is_of(theirs, identity):
        raise KitError(
            f"{path} was made from other clips; choose another output folder, "
            "or delete its features and members to start anew."
        )
    elif not path.exists() and theirs["source"] != source:
        write_json(note, {**identity, "source": source})


def is_of(note, identity):
    """Whether a note that may be of an earlier version of the kit says the same as an identity."""
    theirs = {**note, "recipe": completed(note.get("recipe", {}), "features")}
    return all(theirs.get(name) == value for name, value in identity.items() if name != "recipe_hash")


def rows_done(path, identity, *, source):
    """How many rows an earlier run left in the partial array; 0 if that was begun for anything else."""
    note = read_json(path.with_suffix(".progress.json")) or {}
    is_ours = note.get("of") == digest([identity, source]) and path.with_suffix(".partial.npy").exists()
    return note["clips"] if is_ours else 0


def write_rows(path, identity, blocks, bar, *, source):
    """Write the rows that are missing, block by block, and give the array its final name when it is complete.

    Parameters
    ----------
    path : Path
    identity : dict
        With ``shape``, (rows, frames, bands).
    blocks : iterable of ndarray, shape (some rows, frames, bands)
        From row `rows_done` on.
    bar : tqdm
        Moved on by the rows of each block.

    Raises
    ------
    KitError
        If the disk refuses.
    """
    partial, note = path.with_suffix(".partial.npy"), path.with_suffix(".progress.json")
    done = rows_done(path, identity, source=source)
    shape = tuple(identity["shape"])
    row_bytes = 4 * shape[1] * shape[2]
    try:
        # Not through a memory map: on a full disk that ends in a bus error, which nobody can catch.
        with open(partial, "r+b" if done else "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.seek(done * row_bytes, os.SEEK_CUR)
            for values in blocks:
                file.write(np.ascontiguousarray(values, "<f4"))
                file.flush()
                os.fsync(file.fileno())  # the rows must be on the disk before the note that says so
                done += len(values)
                write_json(note, {"of": digest([identity, source]), "clips": done})
                bar.update(len(values))
        os.replace(partial, path)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise KitError(
            f"{partial} could not be written: {error.strerror or error}. "
            "What was computed before is kept; make room, then run again."
        ) from error
