"""Synthetic recordings of invented genres, as arrays.

A genre determines tempo, drums and how long chords last; an artist determines instruments, key and tone colour.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from ...data.synthesis.accompaniment import drums, instrument, plucked
from ...data.synthesis.music import RATE, SCALES, Band, contour, melody, wave

_LEVEL = 0.12       # root mean square of a recording; full scale is 1


class Genre(NamedTuple):
    """Ranges from which every artist draws a value; those of different genres overlap, as in real music."""

    tempo: tuple    # beats per minute
    drums: tuple    # level relative to the chords
    decay: tuple    # seconds until a chord has faded
    strums: tuple   # beats from one chord to the next


GENRES = {
    "ballad": Genre((60, 90), (0.0, 0.3), (1.0, 5.0), (2, 4)),
    "dance": Genre((112, 138), (0.5, 1.2), (0.1, 0.4), (1, 1)),
    "folk": Genre((80, 118), (0.0, 0.25), (0.15, 0.6), (1, 2)),
    "rock": Genre((95, 135), (0.4, 1.1), (0.6, 3.0), (1, 4)),
}


def piece(genre, artist, rng, *, seconds):
    """Synthesise a recording.

    Parameters
    ----------
    genre : str
        One of `GENRES`.
    artist : sequence of int
        Seed of what all recordings of an artist share.
    rng : numpy.random.Generator
        For what differs between them: chords, melody, small variations of the tempo.
    seconds : float

    Returns
    -------
    ndarray, shape (seconds · 22,050,), float32

    Examples
    --------
    >>> piece("folk", [0], np.random.default_rng(1), seconds=1.0).shape
    (22050,)
    """
    style, artist_rng, samples = GENRES[genre], np.random.default_rng(artist), round(seconds * RATE)
    beat = round(60 / (artist_rng.uniform(*style.tempo) * rng.uniform(0.96, 1.04)) * RATE) / RATE
    key, scale = int(artist_rng.integers(52, 68)), SCALES[artist_rng.integers(2)]
    band = Band(key, scale, beat, tuple(rng.choice([0, 0, 2, 3, 4, 5], 4)))
    bass, keys, solo = (instrument(artist_rng.uniform(1.0, 2.2), artist_rng) for _ in range(3))
    music = np.resize(_loop(band, bass, keys, style, artist_rng), samples)
    line = melody(band, artist_rng.uniform(54, 74), seconds, rng)
    f0, loud = contour(line, band, samples, artist_rng.uniform(4.5, 6.5), artist_rng.choice([0, 0.2, 0.5]), rng)
    music = music + artist_rng.uniform(0.2, 0.8) * music.std() * wave(solo, f0) * loud
    # a filter per artist, in all genres: the recordings of one artist are dull, those of another bright
    music = lfilter([1, artist_rng.uniform(-0.6, 0.6)], [1], music)
    return np.tanh(music * (_LEVEL / music.std())).astype(np.float32)


def _loop(band, bass, keys, style, artist_rng):
    """Four bars of chords, bass and drums."""
    roots = np.repeat(band.chords, 4)   # one a beat
    strum, decay = artist_rng.choice(style.strums), artist_rng.uniform(*style.decay)
    loop = artist_rng.uniform(0.25, 0.5) * plucked(bass, band.midi(roots) - 24, band.beat, 0.5)
    for third in (-3, -1, 1):
        loop += 0.3 * plucked(keys, band.midi(roots[::strum] + third), strum * band.beat, decay)
    return loop + artist_rng.uniform(*style.drums) * drums(band, len(loop), artist_rng)
