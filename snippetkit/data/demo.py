"""A synthetic competition with the layout and the quirks of the real one, to try every step in minutes.

This module plans the songs, cuts them into clips, shuffles the clips and writes the files; `synthesis` makes the sound.
"""

import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from ..utils.artifacts import is_record, make_folder_once
from ..utils.errors import KitError
from ..utils.parallel import parallel_map
from ..utils.storage import read_json

VERSION = 1                                     # changes when the sound or the plan of a demo changes
SHARES = np.array([1038, 3101, 3417, 4330]) / 11_886    # of the four classes in the real training set
LABEL_NOISE = 0.04                              # fraction of wrong training labels
MISHEARD = {1: [3, 3, 3, 2], 2: [3, 3, 3, 1], 3: [1, 2]}    # true label to the wrong labels to choose from
LENGTHS = (4, 10)                               # clips per song: minimum, and the first number above the maximum
MINIMUM = {"train": 12, "test": 1, "seed": 0}   # with 12 clips, every class occurs
FOLDERS = {"train": "train_mp3s", "test": "test_mp3s"}
_CONTENTS = {*FOLDERS.values(), "answers", "train_label.txt", "example_submission.csv"}


@dataclass(frozen=True)
class Song:
    """A song as a sequence of 3-second pieces."""

    number: int
    split: str      # 'train' or 'test'
    labels: tuple   # the true label of each piece
    ids: tuple      # the id of the clip that each piece becomes


def make(folder, *, seed=0, train=560, test=140, jobs=-1):
    """Make a synthetic competition, unless it exists already.

    The clips are consecutive 3-second pieces of songs, shuffled. No song has clips in both train and test. The folder
    ``answers`` holds the true test labels and the song of each clip. The same arguments give the same bytes.

    Parameters
    ----------
    folder : path-like
        It must not exist, be empty, or hold the demo with the same arguments.
    seed : int
    train, test : int
        Number of clips in each split.
    jobs : int
        Number of processes, as joblib counts them: -1 is one per core.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        If the folder holds anything else or cannot be written, a count is too small, or the seed is negative.
    """
    arguments = {"version": VERSION, "seed": seed, "train": train, "test": test}
    for name, minimum in MINIMUM.items():
        if arguments[name] < minimum:
            raise KitError(f"a demo with {name}={arguments[name]} cannot be made. Choose {minimum} or more.")
    build = partial(_build, seed=seed, train=train, test=test, jobs=jobs)
    return make_folder_once(folder, arguments, build, contents=_CONTENTS)


def is_demo(folder):
    """Whether a folder holds a competition that `make` made."""
    record = read_json(Path(folder) / "made_by.json")
    return is_record(record) and record["made_by"].keys() == {"version", *MINIMUM}


def plan(*, seed, train, test):
    """Plan the songs of a demo and the clip that each of their pieces becomes.

    Returns
    -------
    list of Song
        Train songs, then test songs. Every class occurs in train.

    Examples
    --------
    >>> plan(seed=0, train=12, test=1)[-1]
    Song(number=2, split='test', labels=(3,), ids=(0,))
    """
    songs = []
    for split, count in (("train", train), ("test", test)):
        rng = np.random.default_rng([seed, 0, len(songs)])
        lengths = _song_lengths(count, rng)
        # The best of 30 drafts: labels come in sections of songs, so the class shares of a draft can be far off.
        drafts = ([_draw_labels(length, rng) for length in lengths] for _ in range(30))
        labels = min(drafts, key=_distance_from_shares)
        ids = np.split(rng.permutation(count), np.cumsum(lengths)[:-1])
        songs += [Song(len(songs) + i, split, tuple(labels[i]), tuple(ids[i].tolist())) for i in range(len(labels))]
    return songs


def true_labels(songs, split):
    """The true label of each clip of a split, in the order of the ids."""
    pairs = sorted(pair for song in songs if song.split == split for pair in zip(song.ids, song.labels))
    return np.array([label for _, label in pairs])


def misheard(labels, *, seed):
    """Labels with errors as people make them; every class keeps at least one clip.

    Parameters
    ----------
    labels : ndarray of int, shape (clips,)
    seed : int

    Returns
    -------
    ndarray of int, shape (clips,)

    Examples
    --------
    >>> int((misheard(np.repeat([0, 1, 2, 3], 25), seed=0) != np.repeat([0, 1, 2, 3], 25)).sum())
    4
    """
    rng = np.random.default_rng([seed, 1])
    noisy = labels.copy()
    errors = 0
    for clip in rng.permutation(len(labels)):
        if errors == round(LABEL_NOISE * len(labels)):
            break
        if labels[clip] in MISHEARD and np.sum(noisy == labels[clip]) > 1:
            noisy[clip] = rng.choice(MISHEARD[labels[clip]])
            errors += 1
    return noisy


def _song_lengths(count, rng):
    lengths = []
    while count:
        length = min(int(rng.integers(*LENGTHS)), count)
        # The last song must not be too short, unless there are too few clips for two songs.
        if 0 < count - length < LENGTHS[0]:
            length = count if count < 2 * LENGTHS[0] else count - LENGTHS[0]
        lengths.append(length)
        count -= length
    return lengths


def _draw_labels(length, rng):
    """Labels of one song, in sections: no voice, the lead singer alone, and the lead singer among others."""
    lead = rng.choice([1, 2], p=SHARES[1:3] / SHARES[1:3].sum())
    labels, label = [], None
    # sections without voice are shorter, so they are drawn more often
    odds = {0: 2.5 * SHARES[0], lead: SHARES[1] + SHARES[2], 3: SHARES[3]}
    while len(labels) < length:
        choices = [choice for choice in odds if choice != label]
        weight = np.array([odds[choice] for choice in choices])
        label = rng.choice(choices, p=weight / weight.sum())
        labels += [int(label)] * int(1 if label == 0 else rng.integers(1, 5))
    return labels[:length]


def _distance_from_shares(labels):
    counts = np.bincount(np.concatenate(labels), minlength=4)
    return (counts == 0).sum(), np.abs(counts / counts.sum() - SHARES).sum()


def _build(building, *, seed, train, test, jobs):
    for name in (*FOLDERS.values(), "answers"):
        (building / name).mkdir()
    songs = plan(seed=seed, train=train, test=test)
    parallel_map(partial(_write_song, building, seed), songs, jobs=jobs, title="demo songs", unit="song")
    _write_lines(building / "train_label.txt", misheard(true_labels(songs, "train"), seed=seed))
    _write_lines(building / "answers" / "test_label.txt", true_labels(songs, "test"))
    clips = sorted((song.split != "train", clip, song.split, song.number) for song in songs for clip in song.ids)
    rows = [f"{split},{clip},{number}" for _, clip, split, number in clips]
    _write_lines(building / "answers" / "songs.csv", ["split,id,song", *rows])
    # Like the real file: with a byte-order mark and without a newline at the end.
    sample = "\n".join(["id,category", *(f"{clip},1" for clip in range(test))])
    (building / "example_submission.csv").write_text(sample, encoding="utf-8-sig", newline="\n")


def _write_song(building, seed, song):
    from . import synthesis  # imports scipy, which an existing demo does not need

    # Each song has its own random generator, so the result does not depend on which process makes it, or when.
    sound = synthesis.song(song.labels, np.random.default_rng([seed, 2, song.number]))
    for clip, piece in zip(song.ids, sound.reshape(-1, synthesis.CLIP_SAMPLES)):
        encoded = io.BytesIO()  # in memory, so that a full disk raises an OSError and not an error of the encoder
        soundfile.write(encoded, piece, synthesis.CLIP_RATE, format="MP3", subtype="MPEG_LAYER_III")
        (building / FOLDERS[song.split] / f"{clip}.mp3").write_bytes(encoded.getvalue())


def _write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
