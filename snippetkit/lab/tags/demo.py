"""Synthetic recordings whose labels are known: which parts play, and who sings."""

from functools import partial

import numpy as np
import pandas as pd
import soundfile

from ...data.synthesis.accompaniment import drums, instrument, plucked
from ...data.synthesis.music import RATE, Band, contour, melody, wave
from ...data.synthesis.singing import Singer, voice
from .. import sound

SECONDS = 4.0       # of a recording
PARTS = ("drums", "bass", "chords", "solo", "low voice", "high voice")
_SINGERS = {(False, False): "nobody", (True, False): "low", (False, True): "high", (True, True): "both"}
_SHARE = 0.4        # of the recordings in which a part plays, before those without any part are drawn again
_LEVEL = 0.1        # root mean square of a recording; full scale is 1
_NOISE = 0.02       # of a soft noise under every recording, relative to one part


def make(folder, *, seed=0, artists=24, recordings=6, jobs=-1):
    """Make ``recordings/*.mp3`` and two tables of their labels, ``tags.csv`` and ``columns.csv``, unless they exist.

    Parameters
    ----------
    folder : path-like
        Must not exist, be empty, or hold the result of the same arguments.
    seed : int
    artists, recordings : int
        Number of artists, and of recordings of each; a recording lasts 4 seconds.
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
    rows, writers = [], {}
    for artist in range(artists):
        for i in range(recordings):
            rng, name = np.random.default_rng([seed, artist, i]), f"recordings/{artist:02d}-{i}.mp3"
            parts, tempo = _draw_parts(rng), ("slow", "fast")[rng.integers(2)]
            writers[name] = partial(_write, parts, tempo, [seed, artist], rng)
            rows.append((name, f"artist {artist:02d}", parts, tempo))
    writers |= {"tags.csv": partial(_write_tags, rows), "columns.csv": partial(_write_columns, rows)}
    made_by = {"seed": seed, "artists": artists, "recordings": recordings}
    return sound.make_recordings(folder, made_by, writers, title="recordings with tags", jobs=jobs)


def _draw_parts(rng):
    """The parts of a recording, at least one of them."""
    while not (plays := rng.random(len(PARTS)) < _SHARE).any():
        pass
    return [part for part, is_on in zip(PARTS, plays) if is_on]


def _write(parts, tempo, artist, rng, path):
    soundfile.write(path, piece(parts, tempo, artist, rng), RATE)


def _write_tags(rows, path):
    tags = [{part: int(part in parts) for part in PARTS} for _, _, parts, _ in rows]
    files = [{"file": name, "artist": artist} for name, artist, _, _ in rows]
    pd.DataFrame([file | tag for file, tag in zip(files, tags)]).to_csv(path, index=False)


def _write_columns(rows, path):
    pd.DataFrame([{
        "file": name, "artist": artist, "singers": _SINGERS["low voice" in parts, "high voice" in parts],
        "rhythm": "drums" if "drums" in parts else "none", "tempo": tempo,
    } for name, artist, parts, tempo in rows]).to_csv(path, index=False)


def piece(parts, tempo, artist, rng, *, seconds=SECONDS):
    """Synthesise a recording.

    Parameters
    ----------
    parts : sequence of str
        Some of `PARTS`.
    tempo : str
        'slow' (60 to 80 beats per minute) or 'fast' (130 to 160).
    artist : list of int
        Seed of what all recordings of an artist share: key, instruments and voices.
    rng : numpy.random.Generator
        For what differs between them.
    seconds : float

    Returns
    -------
    ndarray, shape (seconds · 22,050,), float32

    Examples
    --------
    >>> piece(["drums", "bass"], "fast", [0], np.random.default_rng(1), seconds=1.0).shape
    (22050,)
    """
    samples, (key, scale) = round(seconds * RATE), Band.drawn(np.random.default_rng(artist))[:2]
    beat = round(60 / rng.uniform(*{"slow": (60, 80), "fast": (130, 160)}[tempo]) * RATE) / RATE
    band = Band(key, scale, beat, tuple(rng.choice([0, 0, 2, 3, 4, 5], 4)))
    music = _NOISE * rng.standard_normal(samples)
    for part in parts:
        # a generator of its own, so that an artist's drums are the same with and without a bass
        signal = _play(part, band, samples, np.random.default_rng([*artist, PARTS.index(part)]), rng)
        music += rng.uniform(0.6, 1.2) * signal / signal.std()
    return np.tanh(music * (_LEVEL / music.std())).astype(np.float32)


def _play(part, band, samples, artist_rng, rng):
    """One part by itself: ndarray, shape (samples,)."""
    if part == "drums":
        return drums(band, samples, artist_rng)
    roots = np.repeat(band.chords, 4)   # one per beat
    if part == "bass":
        return np.resize(plucked(instrument(2.2, artist_rng), band.midi(roots) - 24, band.beat, 0.5), samples)
    if part == "chords":
        keys, decay = instrument(artist_rng.uniform(1.1, 2.2), artist_rng), artist_rng.choice([0.4, 1.5, 9])
        chords = sum(plucked(keys, band.midi(roots + third), band.beat, decay) for third in (-3, -1, 1))
        return np.resize(chords, samples)
    if part == "solo":
        line = melody(band, artist_rng.uniform(54, 74), samples / RATE, rng)
        f0, loud = contour(line, band, samples, artist_rng.uniform(4.5, 6.5), 0.2, rng)
        return wave(instrument(artist_rng.uniform(1.1, 2.0), artist_rng), f0) * loud
    singer = Singer.drawn({"low voice": "male", "high voice": "female"}[part], artist_rng)
    return voice(singer, melody(band, singer.centre, samples / RATE, rng), band, samples, rng)
