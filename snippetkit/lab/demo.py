"""Songs, noises and genres made of arithmetic, for the lab's notebooks where there are no recordings at hand."""

from pathlib import Path

import numpy as np
import soundfile
from joblib import Parallel, delayed
from scipy import signal as filters

from ..data.synthesis import CLIP_RATE, song
from ..data.synthesis.music import RATE
from ..utils.artifacts import make_folder_once
from ..utils.progress import progress
from .genres import bands

SONGS, NOISES = 12, 24
PIECES = 14             # of 3 seconds, of a song
NOISE_SECONDS = 5
ARTISTS, RECORDINGS = 6, 3     # of a genre, and of an artist
GENRE_SECONDS = 6
_VERSION = 2
_LEVEL = 0.05           # root mean square of a noise; full scale is 1


def make(folder, *, seed=0, songs=SONGS, noises=NOISES, jobs=-1):
    """Make ``songs/*.mp3`` and ``noise/*.mp3`` below a folder, unless they are there already.

    Parameters
    ----------
    folder : path-like
        Made by this function; must not exist, be empty, or hold the demo of the same arguments.
    seed : int
    songs, noises : int
        Recordings of each.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        If the folder holds anything else, or the disk refuses.
    """
    arguments = {"version": _VERSION, "seed": seed, "songs": songs, "noises": noises}
    files = {
        f"{kind}/{title} {i:02d}.mp3": (_write, kind, [seed, kind == "noise", i])
        for kind, title, count in (("songs", "song", songs), ("noise", "noise", noises)) for i in range(count)
    }
    return _made(folder, arguments, files, title="songs and noises", jobs=jobs)


def make_genres(folder, *, seed=0, artists=ARTISTS, recordings=RECORDINGS, jobs=-1):
    """Make a folder a genre with ``artist 07 - piece 1.mp3`` and so on, unless they are there already.

    One file more, of an artist of its own, is cut short on purpose, so that a reader has a fault to report.

    Parameters
    ----------
    folder : path-like
        Made by this function; must not exist, be empty, or hold the demo of the same arguments.
    seed : int
    artists, recordings : int
        Of each genre, and of each artist; a recording lasts 6 seconds.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        If the folder holds anything else, or the disk refuses.
    """
    arguments = {"version": _VERSION, "seed": seed, "artists": artists, "recordings": recordings}
    files = {
        f"{genre}/artist {artist:02d} - piece {i + 1}.mp3": (_write_piece, genre, [seed, artist], [seed, artist, 1 + i])
        for number, genre in enumerate(bands.GENRES)
        for artist in range(number * artists, (number + 1) * artists) for i in range(recordings)
    }
    last, stranger = list(bands.GENRES)[-1], artists * len(bands.GENRES)
    files[f"{last}/artist {stranger:02d} - cut short.mp3"] = (_write_damaged, last, [seed, stranger])
    return _made(folder, arguments, files, title="recordings of genres", jobs=jobs)


def _made(folder, arguments, files, *, title, jobs):
    """Make a demo of files: name of each to the function that writes it and its arguments."""
    def build(building):
        for name in files:
            (building / name).parent.mkdir(parents=True, exist_ok=True)
        made = Parallel(jobs, return_as="generator_unordered")(
            delayed(write)(building / name, *about) for name, (write, *about) in files.items()
        )
        for _ in progress(made, total=len(files), title=title, unit="recording"):
            pass

    return make_folder_once(folder, arguments, build, contents={Path(name).parts[0] for name in files})


def _write(path, kind, seed):
    rng = np.random.default_rng(seed)
    sound = song(rng.integers(0, 4, PIECES).repeat(2)[:PIECES], rng) if kind == "songs" else noise(rng)
    _write_mp3(path, sound, CLIP_RATE)


def _write_piece(path, genre, artist, seed):
    _write_mp3(path, bands.piece(genre, artist, np.random.default_rng(seed), seconds=GENRE_SECONDS), RATE)


def _write_damaged(path, genre, artist):
    _write_piece(path, genre, artist, artist)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])


def _write_mp3(path, sound, rate):
    soundfile.write(path, sound, rate, format="MP3", subtype="MPEG_LAYER_III")


def noise(rng, *, seconds=NOISE_SECONDS, sample_rate=CLIP_RATE):
    """Rain, traffic, a hall of people or a machine, of random colour.

    Parameters
    ----------
    rng : numpy.random.Generator
    seconds : float
    sample_rate : int, in Hz

    Returns
    -------
    ndarray, shape (seconds · sample_rate,), float32
    """
    samples = round(seconds * sample_rate)
    kind = rng.choice([_rain, _traffic, _people, _machine])
    sound = kind(samples, sample_rate, rng)
    return np.clip(sound * (_LEVEL / np.std(sound)), -1, 1).astype(np.float32)


def _rain(samples, rate, rng):
    hiss = _band(rng.normal(size=samples), rate, rng.uniform(800, 2000), rng.uniform(6000, 12_000))
    drops = np.where(rng.random(samples) < 20 / rate, rng.normal(0, 40, samples), 0)
    return hiss + _band(drops, rate, 1500, 5000)


def _traffic(samples, rate, rng):
    rumble = _band(rng.normal(size=samples), rate, 30, rng.uniform(200, 600))
    return rumble * _swell(samples, rate, rng.uniform(0.1, 0.4), rng)


def _people(samples, rate, rng):
    """Many voices at once are bands of noise, each loud and soft at the pace of syllables."""
    centres = rng.uniform(250, 2500, 12)
    return sum(_band(rng.normal(size=samples), rate, 0.85 * hz, 1.2 * hz) * _swell(samples, rate, 4, rng) ** 2
               for hz in centres)


def _machine(samples, rate, rng):
    time, hz = np.arange(samples) / rate, rng.uniform(40, 180)
    tones = sum(np.sin(2 * np.pi * k * hz * time + rng.uniform(0, 7)) / k for k in range(1, 12))
    return tones * _swell(samples, rate, rng.uniform(0.5, 8), rng) + 0.3 * rng.normal(size=samples)


def _band(sound, rate, low, high):
    return filters.sosfilt(filters.butter(2, (low, high), "bandpass", fs=rate, output="sos"), sound)


def _swell(samples, rate, hz, rng):
    """A level between 0.2 and 1 that changes about so many times a second."""
    points = 2 + int(samples / rate * 2 * hz)
    return np.interp(np.linspace(0, points - 1, samples), np.arange(points), rng.uniform(0.2, 1, points))
