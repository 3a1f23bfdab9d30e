"""A demo for genre classification: synthetic recordings of four genres, and one file that is damaged on purpose."""

import numpy as np

from ...data.synthesis.music import RATE
from ..sound import make_recordings, write_mp3
from . import bands

ARTISTS, RECORDINGS = 6, 3      # per genre, and per artist
SECONDS = 6
_VERSION = 2


def make(folder, *, seed=0, artists=ARTISTS, recordings=RECORDINGS, jobs=-1):
    """Make a folder a genre with ``artist 07 - piece 1.mp3`` and so on, unless they exist.

    One further file, of an artist of its own, is cut short on purpose.

    Parameters
    ----------
    folder : path-like
        Made by this function; must not exist, be empty, or hold the demo of the same arguments.
    seed : int
    artists, recordings : int
        Of each genre, and of each artist; a recording lasts 6 seconds.
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
    arguments = {"version": _VERSION, "seed": seed, "artists": artists, "recordings": recordings}
    files = {
        f"{genre}/artist {artist:02d} - piece {i + 1}.mp3": (_write_piece, genre, [seed, artist], [seed, artist, 1 + i])
        for number, genre in enumerate(bands.GENRES)
        for artist in range(number * artists, (number + 1) * artists) for i in range(recordings)
    }
    last, stranger = list(bands.GENRES)[-1], artists * len(bands.GENRES)
    files[f"{last}/artist {stranger:02d} - cut short.mp3"] = (_write_damaged, last, [seed, stranger])
    return make_recordings(folder, arguments, files, title="recordings of genres", jobs=jobs)


def _write_piece(path, genre, artist, seed):
    write_mp3(path, bands.piece(genre, artist, np.random.default_rng(seed), seconds=SECONDS), RATE)


def _write_damaged(path, genre, artist):
    _write_piece(path, genre, artist, artist)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
