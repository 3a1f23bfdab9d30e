"""Recordings are identified among the songs of a folder by a fingerprint index on disk. Nothing is trained."""

import math
from functools import partial
from pathlib import Path

from ...audio import recordings
from ...utils.artifacts import fingerprint, read_record, write_record
from ...utils.errors import KitError, listed
from ...utils.lock import exclusive_task
from ...utils.parallel import parallel_map
from ...utils.paths import runs_folder
from ...utils.progress import say
from .answers import UNKNOWN, Identification
from .index import SAMPLE_RATE, FingerprintIndex, count_frames, find_peaks

_FEWEST_PAIRS, _LEAD = 12, 2.0      # of a known song: pairs, and how many times as many as the next song has
_STEP, _MOST_ANSWERS = 5.0, 12      # seconds from one answer to the next; a longer recording has longer steps


class IndexedSongs:
    """The songs of a folder in a fingerprint index. New files are added to the index, and it is kept on disk.

    Parameters
    ----------
    folder : path-like
        One recording per file, and a song is named after its file.
    path : path-like or None
        ``.npz`` file of the index; None is ``runs/songs-<name of the folder>.npz``.

    Attributes
    ----------
    index : FingerprintIndex
    wanted : dict
        How to load a recording: ``sample_rate`` of `recordings.load`.

    Raises
    ------
    KitError
        If the folder holds no recordings, or two of one name; if the file cannot be read or written.
    """

    wanted = {"sample_rate": SAMPLE_RATE}

    def __init__(self, folder, path=None):
        folder = Path(folder).resolve()
        path = Path(path or runs_folder() / f"songs-{folder.name}.npz")
        files = {file.stem: file for file in recordings.distinct_recordings(folder)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_task(path.parent, f"writing {path.name}"):
            self.index = _update(path, files)

    def answer(self, signal, count=5):
        """Identify a recording.

        Parameters
        ----------
        signal : ndarray, shape (samples,), float32
            At `SAMPLE_RATE`.
        count : int
            Number of songs.

        Returns
        -------
        Identification
            Its title is `UNKNOWN` if no song has twice as many pairs as the next one, and `_FEWEST_PAIRS` or more.
        """
        title, matches = self._query(signal, count)
        reason = f"no song has {_FEWEST_PAIRS} pairs and {_LEAD:g} times as many as the next; the likeliest are"
        top = {match.name: match.score for match in matches}
        return Identification(title, top, "pairs", partial(self._develop, signal), reason)

    def _develop(self, signal):
        steps = max(1, math.ceil(len(signal) / SAMPLE_RATE / _STEP / _MOST_ANSWERS))
        step, over_time = round(steps * _STEP * SAMPLE_RATE), []
        for end in range(step, len(signal), step):
            so_far, best = self._query(signal[:end], 1)
            over_time.append((end / SAMPLE_RATE, so_far, best[0].score if best else 0))
        return over_time

    def _query(self, signal, count):
        matches = self.index.query(signal, max(2, count))
        best, rival, *_ = [*(match.score for match in matches), 0, 0]
        is_known = best >= max(_FEWEST_PAIRS, _LEAD * rival)
        return matches[0].name if is_known else UNKNOWN, matches[:count]


def _update(path, files):
    """The index of the files: loaded, with the new files added; made anew if a file was changed or removed."""
    wanted = {name: fingerprint([file]) for name, file in files.items()}
    record = path.exists() and read_record(path.with_suffix(".json"))
    known, left_out = (record["made_by"].get(name, {}) if record else {} for name in ("songs", "left_out"))
    left_out = {name: entry for name, entry in left_out.items() if wanted.get(name) == entry[0]}
    index = FingerprintIndex()
    if known and known.items() <= wanted.items():
        index = FingerprintIndex.load(path)
    if set(index.names) != set(known):      # also if a process was killed between the index and its record
        known, index = {}, FingerprintIndex()
    new = [files[name] for name in wanted if name not in known and name not in left_out]
    found = parallel_map(_peaks, new, title="songs", unit="song") if new else []
    for file, (peaks, fault) in zip(new, found):
        try:
            if not fault:
                frames, bins, count = peaks
                index.add_peaks(file.stem, frames, bins, frames_in_all=count)
        except KitError as error:
            fault = str(error)
        if fault:
            left_out[file.stem] = wanted[file.stem], fault
    if left_out:
        say(f"{len(left_out)} recordings are not in the index: {listed([fault for _, fault in left_out.values()])}")
    if not len(index):
        raise KitError("the folder holds no recording with a fingerprint.")
    if not new:
        return index
    index.save(path)
    songs = {name: wanted[name] for name in wanted if name in index.names}
    write_record(path.with_suffix(".json"), {"songs": songs, "left_out": left_out})
    return index


def _peaks(file):
    """The peaks of a recording and its number of frames; and what is wrong with it, or ''."""
    try:
        signal = recordings.load(file, sample_rate=SAMPLE_RATE)
    except KitError as error:
        return (), str(error)
    return (*find_peaks(signal), count_frames(len(signal))), ""
