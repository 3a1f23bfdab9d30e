"""A demo for song identification: synthetic songs, and noises of rain, traffic, people and machines."""

import numpy as np
from scipy import signal as filters

from ...data.synthesis import CLIP_RATE, song
from ..sound import make_recordings, write_mp3

SONGS, NOISES = 12, 24
PIECES = 14             # of 3 seconds, per song
NOISE_SECONDS = 5
_VERSION = 2
_LEVEL = 0.05           # root mean square of a noise; full scale is 1


def make(folder, *, seed=0, songs=SONGS, noises=NOISES, jobs=-1):
    """Make ``songs/*.mp3`` and ``noise/*.mp3`` below a folder, unless they exist.

    Parameters
    ----------
    folder : path-like
        Made by this function; must not exist, be empty, or hold the demo of the same arguments.
    seed : int
    songs, noises : int
        Recordings of each.
    jobs : int
        Number of processes, as joblib counts them.

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
    return make_recordings(folder, arguments, files, title="songs and noises", jobs=jobs)


def _write(path, kind, seed):
    rng = np.random.default_rng(seed)
    sound = song(rng.integers(0, 4, PIECES).repeat(2)[:PIECES], rng) if kind == "songs" else noise(rng)
    write_mp3(path, sound, CLIP_RATE)


def noise(rng, *, seconds=NOISE_SECONDS, sample_rate=CLIP_RATE):
    """Noise of rain, traffic, a crowd or a machine, with a random spectrum.

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
    """A crowd: bands of noise that are modulated at the rate of syllables."""
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
    """A random level between 0.2 and 1 that changes at about this rate."""
    points = 2 + int(samples / rate * 2 * hz)
    return np.interp(np.linspace(0, points - 1, samples), np.arange(points), rng.uniform(0.2, 1, points))
