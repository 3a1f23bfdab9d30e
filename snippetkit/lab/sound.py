"""Recordings of any length from whatever people send: what libsndfile reads, and by PyAV what phones record besides."""

from pathlib import Path

import numpy as np
import soundfile

from .. import audio
from ..utils.errors import KitError

LARGEST = 50e6          # bytes that a stranger's recording may have
LONGEST = 600.0         # seconds
_SILENT = 1e-4          # full scale is 1
SUFFIXES = (".mp3", ".m4a", ".wav", ".ogg", ".flac", ".aac", ".webm", ".mp4", ".opus")


def load(path, *, sample_rate, longest=None, largest=None, mono=True):
    """Decode a recording and resample it, as `audio.load` does with clips.

    Parameters
    ----------
    path : path-like
    sample_rate : int, in Hz
    longest : float or None
        Most seconds that are taken; no more are decoded.
    largest : float or None
        Most bytes.
    mono : bool
        False keeps the channels apart.

    Returns
    -------
    ndarray, shape (samples,), float32, or with its channels (samples, channels)

    Raises
    ------
    KitError
        If the file is missing, too large, too long, silent, or nothing that can be decoded.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not size:
        raise KitError(f"{path.name} is empty (0 bytes).")
    if largest and size > largest:
        raise KitError(
            f"{path.name} has {size / 1e6:.0f} MB; at most {largest / 1e6:.0f} MB are taken: cut it, or save it as MP3."
        )
    signal, rate = _by_soundfile(path, longest) or _by_av(path, longest)
    if longest and len(signal) > longest * rate:
        raise KitError(f"{path.name} lasts longer than {longest / 60:g} minutes, which is all that is taken: cut it.")
    if not len(signal):
        raise KitError(f"{path.name} holds no sound.")
    signal = audio.from_samples(path.name, signal, rate, sample_rate=sample_rate, mono=mono)
    if not np.any(np.abs(signal) > _SILENT):
        raise KitError(f"{path.name} is silent: there is nothing to hear in it.")
    return signal


def _by_soundfile(path, longest):
    """Samples, shape (samples, channels), and their rate, a little more than `longest` at most; None if it cannot."""
    try:
        with soundfile.SoundFile(path) as file:
            most = file.frames if longest is None else min(file.frames, round(longest * file.samplerate) + 1)
            return file.read(most, dtype="float32", always_2d=True), file.samplerate
    except soundfile.LibsndfileError:
        return None


def _by_av(path, longest):
    """The same of what PyAV decodes.

    Raises
    ------
    KitError
        If PyAV is not there, or cannot either.
    """
    try:
        import av
    except ImportError:
        raise KitError(
            f"{path.name} is nothing that libsndfile reads. For what phones record (m4a): "
            "pip install -r requirements-lab.txt"
        ) from None
    pieces, samples = [], 0
    try:
        with av.open(str(path)) as file:
            if not file.streams.audio:
                raise KitError(f"{path.name} holds no sound.")
            rate = file.streams.audio[0].rate
            planes = av.AudioResampler(format="fltp")   # of the sample format alone; the rate is soxr's business
            for frame in file.decode(audio=0):
                for piece in planes.resample(frame):
                    pieces.append(piece.to_ndarray().T)
                    samples += len(pieces[-1])
                if longest and samples > longest * rate:
                    break
    except (av.FFmpegError, ValueError) as error:   # a ValueError: what is in the stream changes on its way
        raise KitError(f"{path.name} is not audio that can be decoded, or is damaged inside.") from error
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32), rate


def recordings(folder):
    """Paths of all recordings right below a folder, by name.

    Raises
    ------
    KitError
        If there is none.
    """
    found = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise KitError(f"{folder} holds no recordings ({', '.join(SUFFIXES)}).")
    return found
