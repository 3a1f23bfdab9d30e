"""Synthetic recordings of four genres for notebook 06, if there are none at hand."""

import os
from functools import partial

import numpy as np
import soundfile

from ...data.synthesis.music import RATE
from .. import sound
from . import bands

SECONDS = 6     # of a recording


def make(folder, *, seed=0, artists=6, recordings=3, jobs=-1):
    """Make one folder per genre with ``artist 07 - piece 1.mp3`` and so on, unless they exist.

    One more file, by a separate artist, is truncated on purpose, so that there is a damaged recording to report.

    Parameters
    ----------
    folder : path-like
        Must not exist, be empty, or hold the result of the same arguments.
    seed : int
    artists, recordings : int
        Artists of each genre, and recordings of each artist; a recording lasts 6 seconds.
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
        f"{genre}/artist {artist:02d} - piece {i}.mp3": partial(_write, genre, [seed, artist], [seed, artist, i])
        for number, genre in enumerate(bands.GENRES)
        for artist in range(number * artists, (number + 1) * artists) for i in range(1, recordings + 1)
    }
    genre, artist = list(bands.GENRES)[-1], [seed, artists * len(bands.GENRES)]
    writers[f"{genre}/artist {artist[1]:02d} - cut short.mp3"] = partial(_write, genre, artist, artist, divisor=3)
    made_by = {"seed": seed, "artists": artists, "recordings": recordings}
    return sound.make_recordings(folder, made_by, writers, title="recordings of genres", jobs=jobs)


def _write(genre, artist, seed, path, *, divisor=1):
    piece = bands.piece(genre, artist, np.random.default_rng(seed), seconds=SECONDS)
    soundfile.write(path, piece, RATE)
    os.truncate(path, path.stat().st_size // divisor)
