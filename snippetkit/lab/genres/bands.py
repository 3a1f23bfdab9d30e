"""Bands of made-up genres: a genre shares tempo, drums and touch, an artist instruments, key and desk.

Sound only, as arrays; which recordings there are and how they become files is `demo`'s business.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from ...data.synthesis.accompaniment import drums, instrument, plucked
from ...data.synthesis.music import RATE, SCALES, Band, contour, melody, wave

_LEVEL = 0.12       # root mean square of a recording; full scale is 1


class Genre(NamedTuple):
    """From and to, of which every artist draws a value; neighbours overlap, as genres do."""

    tempo: tuple    # beats a minute
    drums: tuple    # their level beside the chords'
    decay: tuple    # seconds in which a chord dies away
    strums: tuple   # beats from one chord to the next


GENRES = {
    "ballad": Genre((60, 90), (0.0, 0.3), (1.0, 5.0), (2, 4)),
    "dance": Genre((112, 138), (0.5, 1.2), (0.1, 0.4), (1, 1)),
    "folk": Genre((80, 118), (0.0, 0.25), (0.15, 0.6), (1, 2)),
    "rock": Genre((95, 135), (0.4, 1.1), (0.6, 3.0), (1, 4)),
}


def piece(genre, artist, rng, *, seconds):
    """A recording of an artist.

    Parameters
    ----------
    genre : str
        One of `GENRES`.
    artist : sequence of int
        The seed of what all recordings of an artist share.
    rng : numpy.random.Generator
        Of what is this recording's own: chords, melody, a little of the tempo.
    seconds : float

    Returns
    -------
    ndarray, shape (seconds · 22,050,), float32
    """
    style, own, samples = GENRES[genre], np.random.default_rng(artist), round(seconds * RATE)
    beat = round(60 / (own.uniform(*style.tempo) * rng.uniform(0.96, 1.04)) * RATE) / RATE
    band = Band(int(own.integers(52, 68)), SCALES[own.integers(2)], beat, tuple(rng.choice([0, 0, 2, 3, 4, 5], 4)))
    bass, keys, solo = (instrument(own.uniform(1.0, 2.2), own) for _ in range(3))
    music = np.resize(_loop(band, bass, keys, style, own), samples)
    line = melody(band, own.uniform(54, 74), seconds, rng)
    f0, loud = contour(line, band, samples, own.uniform(4.5, 6.5), own.choice([0, 0.2, 0.5]), rng)
    music = music + own.uniform(0.2, 0.8) * music.std() * wave(solo, f0) * loud
    # The desk: one artist's records are all dull, another's all bright, whatever the genre.
    music = lfilter([1, own.uniform(-0.6, 0.6)], [1], music)
    return np.tanh(music * (_LEVEL / music.std())).astype(np.float32)


def _loop(band, bass, keys, style, own):
    """Four bars of chords, bass and drums."""
    roots = np.repeat(band.chords, 4)   # one a beat
    strum, decay = own.choice(style.strums), own.uniform(*style.decay)
    loop = own.uniform(0.25, 0.5) * plucked(bass, band.midi(roots) - 24, band.beat, 0.5)
    for third in (-3, -1, 1):
        loop += 0.3 * plucked(keys, band.midi(roots[::strum] + third), strum * band.beat, decay)
    return loop + own.uniform(*style.drums) * drums(band, len(loop), own)
