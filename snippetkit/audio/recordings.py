"""Recordings of any length: decoded from every usual format, and listed."""

import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

import numpy as np
import soundfile

from ..utils.errors import KitError, report_os_error
from ..utils.folders import files_in, walk
from . import from_samples
from .decoding import decode

LIMITS = {"longest": 600.0, "largest": 50e6}    # seconds and bytes of a recording for the command line
SUFFIXES = (".mp3", ".m4a", ".wav", ".ogg", ".flac", ".aac", ".webm", ".mp4", ".opus")
_SILENT = 1e-4          # highest peak of a silent recording; full scale is 1


def load(path, *, sample_rate, longest=None, largest=None, mono=True, silent=False):
    """Decode a recording and resample it, as `audio.load` does with clips.

    libsndfile decodes it, or PyAV if libsndfile cannot (m4a, as phones record).

    Parameters
    ----------
    path : path-like
    sample_rate : int, in Hz
    longest : float or None
        Longest duration in seconds.
    largest : float or None
        Largest file in bytes.
    mono : bool
        False keeps the channels.
    silent : bool
        Whether silence is accepted.

    Returns
    -------
    ndarray, shape (samples,) or (samples, channels), float32

    Raises
    ------
    KitError
        If the file is missing, empty, too large, too long, silent (unless that is accepted), or cannot be decoded.
    """
    path = Path(path)
    with report_os_error(f"{path} cannot be read"):
        size = path.stat().st_size
    if not size:
        raise KitError(f"{path.name} is empty (0 bytes).")
    if largest and size > largest:
        raise KitError(f"{path.name} has {size / 1e6:.0f} MB, more than {largest / 1e6:.0f}. Cut it or save it as MP3.")
    with report_os_error(f"{path} cannot be read"):
        signal, rate = _read_with_soundfile(path, longest) or _read_with_av(path, longest)
    if longest and len(signal) > longest * rate:
        raise KitError(f"{path.name} lasts longer than {longest / 60:g} minutes. Cut it.")
    if not len(signal):
        raise KitError(f"{path.name} holds no sound.")
    signal = from_samples(path.name, signal, rate, sample_rate=sample_rate, mono=mono)
    if not silent and not np.any(np.abs(signal) > _SILENT):
        raise KitError(f"{path.name} is silent.")
    return signal


def _read_with_soundfile(path, longest):
    """Samples, shape (samples, channels), slightly more than `longest` at most, and their rate; None if it cannot."""
    try:
        with open(path, "rb") as stream, _without_decoder_messages():
            return decode(stream, longest and longest + 1)
    except soundfile.LibsndfileError:
        return None


@contextmanager
def _without_decoder_messages():
    """Leave out what libmpg123 prints on standard error; what others print meanwhile comes at the end.

    It prints a line for each frame whose data begin before the file does, as in an MP3 that was cut. Such a line names
    no file, and nothing needs to be done. The library writes to the descriptor, so the descriptor is redirected.
    """
    with _one_at_a_time, TemporaryFile() as printed:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            printed.seek(0)
            if others := b"".join(line for line in printed if b"/libmpg123/" not in line):
                os.write(2, others)


_one_at_a_time = Lock()


def _read_with_av(path, longest):
    try:
        import av
    except ImportError:
        raise KitError(
            f"{path.name} is not audio that libsndfile can decode. If it is of another format, such as m4a, install "
            "PyAV: pip install av"
        ) from None
    pieces, samples = [], 0
    try:
        with av.open(str(path)) as file:
            if not file.streams.audio:
                raise KitError(f"{path.name} holds no sound.")
            rate = file.streams.audio[0].rate
            converter = av.AudioResampler(format="fltp")    # converts the sample format only, not the rate
            for frame in file.decode(audio=0):
                pieces += [piece.to_ndarray().T for piece in converter.resample(frame)]
                samples += frame.samples
                if longest and samples > longest * rate:
                    break
    except (av.FFmpegError, ValueError) as error:   # ValueError: the stream changes its format half-way
        raise KitError(f"{path.name} is not audio that can be decoded, or is damaged inside.") from error
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32), rate


def recordings_in(folder):
    """Paths of all recordings in a folder, sorted by name; a name that is a number by its value.

    Raises
    ------
    KitError
        If there is none, or the folder cannot be read.
    """
    return _sorted(folder, files_in(folder))


def distinct_recordings(folder):
    """`recordings_in` a folder whose recordings have different names without their suffix, else a KitError."""
    paths = recordings_in(folder)
    stems = Counter(path.stem for path in paths)
    if doubled := sorted(stem for stem in stems if stems[stem] > 1):
        raise KitError(f"{folder} holds several recordings named {', '.join(doubled)}. Rename or remove some.")
    return paths


def recordings_below(folder):
    """The same of a folder and all its subfolders, folder by folder."""
    return _sorted(folder, (path for _, files in walk(folder) for path in files))


def _sorted(folder, paths):
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise KitError(f"{folder} holds no recordings ({', '.join(SUFFIXES)}).")
    return sorted(paths, key=lambda path: (path.parent, int(path.stem) if path.stem.isdecimal() else -1, path.name))
