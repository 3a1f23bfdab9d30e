"""What takes long to make in the lab, on the disk."""

from pathlib import Path

import numpy as np

from ..utils.artifacts import digest
from ..utils.storage import read_json, replacing, write_json

VERSION = 2     # of all that the lab computes of clips and of how it fits methods: another one makes all of it anew


def kept(path, identity, make):
    """Read an array where it lies; make it and write it where it is missing, or was made of something else.

    Parameters
    ----------
    path : path-like
        Ends in ``.npy``; a note of what it was made of lies beside it, as ``.json``.
    identity : list
        What it is made of, as plain values.
    make : callable
        Gives the ndarray.

    Returns
    -------
    ndarray
    """
    path, identity = Path(path), digest([VERSION, *identity])
    note = path.with_suffix(".json")
    if read_json(note) == {"identity": identity} and path.exists():
        return np.load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = make()
    note.unlink(missing_ok=True)    # while both are written, neither vouches for the other
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)
    write_json(note, {"identity": identity})
    return np.load(path)    # as it is found the next time: sums over an array depend on how it lies in memory
