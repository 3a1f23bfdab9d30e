"""How much of a clip the separator took for voice: a single number, and already a judge of "no voice"."""

from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

from .. import audio
from ..utils.progress import progress
from ..utils.storage import write_table
from .separation import RATE

FLOOR = -96.0   # dBFS: what 16 bits can hold


def energies(sources, folder, *, jobs=-1):
    """Level of every clip and of its vocals; measured once, then read.

    Parameters
    ----------
    sources : Sources
    folder : path-like
        Where the table is kept, as a CSV: ``vocals`` in the work folder.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    DataFrame
        A row a clip: ``clip`` (its id), ``mixture`` and ``vocals`` (root mean square in dBFS, FLOOR at least) and
        ``share`` (the second less the first, in dB; NaN where the clip is silent).

    Raises
    ------
    KitError
        If a file is missing or damaged.
    """
    path = Path(folder) / f"energy_{sources.weights}.csv"
    ids = list(sources.clips)
    table = pd.read_csv(path) if path.exists() else None
    if table is None or table["clip"].tolist() != ids:
        measured = Parallel(jobs, return_as="generator")(
            delayed(_levels)(sources.clips[i], sources.paths[i]) for i in ids
        )
        levels = list(progress(measured, total=len(ids), title="energy of the vocals", unit="clip"))
        table = pd.DataFrame(levels, columns=["mixture", "vocals"])
        table.insert(0, "clip", ids)
        write_table(path, table)
    return table.assign(share=(table["vocals"] - table["mixture"]).where(table["mixture"] > FLOOR))


def _levels(*paths):
    return tuple(max(FLOOR, audio.level(audio.load(path, sample_rate=RATE, seconds=None))) for path in paths)
