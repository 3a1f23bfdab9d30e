"""What is in a clip as far as an audit goes: its level, and whether another holds the same samples."""

import hashlib

from joblib import Parallel, delayed

from .. import audio
from ..utils.progress import progress
from .traces import RATE

_LOWEST = -200.0    # dBFS, stands for digital silence
_SILENT = -100.0    # dBFS: less than the last of 16 bits; it tells of no song, nor is it a duplicate


def look(paths, *, jobs=-1):
    """Level and content of clips.

    Parameters
    ----------
    paths : sequence of Path
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    dict
        ``level``, the root mean square in dBFS, at least -200; ``content``, twelve hexadecimal digits that are equal
        for clips of equal samples (byte-identical files are such), and empty for silence. Lists with an entry a clip.
    """
    waiting = Parallel(jobs, return_as="generator", batch_size=64)(delayed(_look_at)(path) for path in paths)
    found = list(progress(waiting, total=len(paths), title="looking for duplicates", unit="clip"))
    return {"level": [level for level, _ in found], "content": [content for _, content in found]}


def _look_at(path):
    signal = audio.salvage(path, sample_rate=RATE, seconds=None)
    level = max(audio.level(signal), _LOWEST)
    return level, hashlib.sha256(signal.tobytes()).hexdigest()[:12] if level > _SILENT else ""
