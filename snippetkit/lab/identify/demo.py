"""Synthetic songs and noises for notebook 05, if there are no recordings at hand."""

from functools import partial

import numpy as np
import soundfile

from ...data.synthesis import CLIP_RATE, song
from .. import sound
from .phone import band_pass

PIECES = 14             # of 3 seconds in a song
_LEVEL = 0.05           # root mean square of a noise; full scale is 1


def make(folder, *, seed=0, songs=12, noises=24, jobs=-1):
    """Make ``songs/*.mp3`` and ``noise/*.mp3`` in a folder, unless they exist.

    Parameters
    ----------
    folder : path-like
        Must not exist, be empty, or hold the result of the same arguments.
    seed : int
    songs, noises : int
        Number of recordings.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        As `sound.make_recordings`.
    """
    writers = {
        f"{kind}/{title} {i:02d}.mp3": partial(_write, render, [seed, kind == "noise", i])
        for kind, title, render, count in (("songs", "song", _song, songs), ("noise", "noise", noise, noises))
        for i in range(count)
    }
    made_by = {"seed": seed, "songs": songs, "noises": noises}
    return sound.make_recordings(folder, made_by, writers, title="songs and noises", jobs=jobs)


def _write(render, seed, path):
    soundfile.write(path, render(np.random.default_rng(seed)), CLIP_RATE)


def _song(rng):
    return song(rng.integers(0, 4, PIECES).repeat(2)[:PIECES], rng)


def noise(rng, *, seconds=5, sample_rate=CLIP_RATE):
    """Synthesise rain, traffic, a crowd or a machine, each with random parameters.

    Parameters
    ----------
    rng : numpy.random.Generator
    seconds : float
    sample_rate : int, in Hz

    Returns
    -------
    ndarray, shape (seconds · sample_rate,), float32

    Examples
    --------
    >>> noise(np.random.default_rng(0), seconds=1).shape
    (44100,)
    """
    samples = round(seconds * sample_rate)
    kind = rng.choice([_rain, _traffic, _crowd, _machine])
    signal = kind(samples, sample_rate, rng)
    return np.clip(signal * (_LEVEL / np.std(signal)), -1, 1).astype(np.float32)


def _rain(samples, rate, rng):
    hiss = band_pass(rng.normal(size=samples), rate, (rng.uniform(800, 2000), rng.uniform(6000, 12_000)), order=2)
    drops = np.where(rng.random(samples) < 20 / rate, rng.normal(0, 40, samples), 0)
    return hiss + band_pass(drops, rate, (1500, 5000), order=2)


def _traffic(samples, rate, rng):
    rumble = band_pass(rng.normal(size=samples), rate, (30, rng.uniform(200, 600)), order=2)
    return rumble * _envelope(samples, rate, rng.uniform(0.1, 0.4), rng)


def _crowd(samples, rate, rng):
    """Bands of noise, each with a level that changes about as fast as syllables follow each other."""
    centres = rng.uniform(250, 2500, 12)
    bands = (band_pass(rng.normal(size=samples), rate, (0.85 * hz, 1.2 * hz), order=2) for hz in centres)
    return sum(band * _envelope(samples, rate, 4, rng) ** 2 for band in bands)


def _machine(samples, rate, rng):
    time, hz = np.arange(samples) / rate, rng.uniform(40, 180)
    tones = sum(np.sin(2 * np.pi * k * hz * time + rng.uniform(0, 7)) / k for k in range(1, 12))
    return tones * _envelope(samples, rate, rng.uniform(0.5, 8), rng) + 0.3 * rng.normal(size=samples)


def _envelope(samples, rate, hz, rng):
    """A level between 0.2 and 1 that changes `hz` times per second on average."""
    points = 2 + int(samples / rate * 2 * hz)
    return np.interp(np.linspace(0, points - 1, samples), np.arange(points), rng.uniform(0.2, 1, points))
