"""Recordings of any length and format: decoded by libsndfile, or by PyAV (what phones record); demos written as MP3."""

from pathlib import Path

import numpy as np
import soundfile

from .. import audio
from ..utils.artifacts import make_folder_once
from ..utils.errors import KitError
from ..utils.parallel import parallel_map

LARGEST = 50e6          # bytes of a user's recording
LONGEST = 600.0         # seconds
_SILENT = 1e-4          # full scale is 1
SUFFIXES = (".mp3", ".m4a", ".wav", ".ogg", ".flac", ".aac", ".webm", ".mp4", ".opus")


def load(path, *, sample_rate, longest=None, largest=None, mono=True):
    """Decode and resample a recording, as `audio.load` does for clips.

    Parameters
    ----------
    path : path-like
    sample_rate : int, in Hz
    longest : float or None
        Longest accepted recording in seconds; no more is decoded.
    largest : float or None
        Largest accepted file in bytes.
    mono : bool
        False keeps the channels apart.

    Returns
    -------
    ndarray, shape (samples,), float32, or with its channels (samples, channels)

    Raises
    ------
    KitError
        If the file is missing, too large, too long, silent or cannot be decoded.
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
            f"{path.name} has {size / 1e6:.0f} MB, but at most {largest / 1e6:.0f} MB are accepted. Cut it, or save it "
            "as MP3."
        )
    signal, rate = _by_soundfile(path, longest) or _by_av(path, longest)
    if longest and len(signal) > longest * rate:
        raise KitError(f"{path.name} is longer than {longest / 60:g} minutes, the accepted length. Cut it.")
    if not len(signal):
        raise KitError(f"{path.name} contains no sound.")
    signal = audio.from_samples(path.name, signal, rate, sample_rate=sample_rate, mono=mono)
    if not np.any(np.abs(signal) > _SILENT):
        raise KitError(f"{path.name} is silent.")
    return signal


def _by_soundfile(path, longest):
    """Samples, shape (samples, channels), and their rate, at most one more than `longest`; None if it cannot decode."""
    try:
        with soundfile.SoundFile(path) as file:
            most = file.frames if longest is None else min(file.frames, round(longest * file.samplerate) + 1)
            return file.read(most, dtype="float32", always_2d=True), file.samplerate
    except soundfile.LibsndfileError:
        return None


def _by_av(path, longest):
    """The same with PyAV.

    Raises
    ------
    KitError
        If PyAV is not installed or cannot decode the file, either.
    """
    try:
        import av
    except ImportError:
        raise KitError(
            f"{path.name} cannot be decoded by libsndfile. For recordings of phones (m4a): "
            "pip install -r requirements-lab.txt"
        ) from None
    pieces, samples = [], 0
    try:
        with av.open(str(path)) as file:
            if not file.streams.audio:
                raise KitError(f"{path.name} contains no sound.")
            rate = file.streams.audio[0].rate
            planes = av.AudioResampler(format="fltp")   # only the sample format; soxr resamples
            for frame in file.decode(audio=0):
                for piece in planes.resample(frame):
                    pieces.append(piece.to_ndarray().T)
                    samples += len(pieces[-1])
                if longest and samples > longest * rate:
                    break
    except (av.FFmpegError, ValueError) as error:   # ValueError: the format changes inside the stream
        raise KitError(f"{path.name} is not audio that can be decoded, or is damaged inside.") from error
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32), rate


def recordings(folder):
    """Paths of all recordings in a folder, sorted by name.

    Raises
    ------
    KitError
        If there is none.
    """
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise KitError(f"{folder} contains no recordings ({', '.join(SUFFIXES)}).")
    return paths


def make_recordings(folder, made_by, files, *, title, jobs):
    """Make a folder of synthetic recordings once: see `artifacts.make_folder_once`.

    Parameters
    ----------
    folder : path-like
    made_by : dict
    files : dict
        Name of each file, with its subfolder, to a tuple: the function that writes it, and the function's arguments
        after the path.
    title : str
        Of the progress bar.
    jobs : int
        Number of processes, as joblib counts them.
    """
    def build(building):
        for name in files:
            (building / name).parent.mkdir(parents=True, exist_ok=True)
        paths = [building / name for name in files]
        parallel_map(_write_file, paths, list(files.values()), jobs=jobs, title=title, unit="recording")

    return make_folder_once(folder, made_by, build, contents={Path(name).parts[0] for name in files})


def write_mp3(path, signal, sample_rate):
    """Write a signal as an MP3."""
    soundfile.write(path, signal, sample_rate, format="MP3", subtype="MPEG_LAYER_III")


def _write_file(path, content):
    write, *arguments = content
    write(path, *arguments)
