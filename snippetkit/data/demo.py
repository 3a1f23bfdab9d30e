"""A synthetic competition with the layout and the quirks of the real one, so that every step can be tried in minutes.

How its songs sound is `synthesis`'s business; here they are planned, cut into clips, shuffled and written.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from joblib import Parallel, delayed

from ..utils.artifacts import make_folder_once
from ..utils.errors import KitError
from ..utils.progress import progress

VERSION = 1                                     # of the sound and the plan; another version is another demo
SHARES = np.array([1038, 3101, 3417, 4330]) / 11_886  # of the four classes in the real training set
LABEL_NOISE = 0.04                              # part of the training labels that is wrong
MISHEARD = {1: [3, 3, 3, 2], 2: [3, 3, 3, 1], 3: [1, 2]}    # what a wrong label says instead
LENGTHS = (4, 10)                               # clips of a song: at least, less than
FEWEST = {"train": 12, "test": 1}               # clips; twelve are enough for every class to occur
FOLDERS = {"train": "train_mp3s", "test": "test_mp3s"}
_CONTENTS = {*FOLDERS.values(), "answers", "train_label.txt", "example_submission.csv"}


@dataclass(frozen=True)
class Song:
    """Where a song's pieces go, in the order in which they sound."""

    number: int
    split: str      # 'train' or 'test'
    labels: tuple   # what is really heard in each piece
    ids: tuple      # the clip that each piece becomes


def make(folder, *, seed=0, train=560, test=140, jobs=-1):
    """Make a synthetic competition, unless it is there already.

    The clips are consecutive 3-second pieces of songs, shuffled; no song has clips in both train and test. The true
    test labels and the song of each clip lie in ``answers/``. The same arguments give the same bytes.

    Parameters
    ----------
    folder : path-like
        Made by this function; must not exist, be empty, or hold the demo of the same arguments.
    seed : int
    train, test : int
        Clips of each split.
    jobs : int
        Processes, as joblib counts them: -1 is one a core.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    KitError
        If the folder holds anything else, a count is too small, or the disk refuses.
    """
    arguments = {"version": VERSION, "seed": seed, "train": train, "test": test}
    _check(arguments)
    return make_folder_once(folder, arguments, lambda building: _build(building, arguments, jobs), contents=_CONTENTS)


def _check(arguments):
    for split, fewest in FEWEST.items():
        if arguments[split] < fewest:
            raise KitError(f"a demo needs at least {fewest} {split} clips, not {arguments[split]}.")
    if arguments["seed"] < 0:
        raise KitError(f"a seed is a whole number from 0 on, not {arguments['seed']}.")


def plan(*, seed, train, test):
    """The songs of a demo and which clip each of their pieces becomes.

    Returns
    -------
    list of Song
        Train songs, then test songs; every class occurs in train.
    """
    songs = []
    for split, count in (("train", train), ("test", test)):
        rng = np.random.default_rng([seed, 0, len(songs)])
        lengths = _song_lengths(count, rng)
        # The best of some drafts: classes come in sections of songs, so a draft may be far off, or miss one.
        drafts = ([_labels(length, rng) for length in lengths] for _ in range(30))
        labels = min(drafts, key=_distance_from_shares)
        ids = np.split(rng.permutation(count), np.cumsum(lengths)[:-1])
        songs += [Song(len(songs) + i, split, tuple(heard), tuple(own.tolist()))
                  for i, (heard, own) in enumerate(zip(labels, ids))]
    return songs


def true_labels(songs, split):
    """What is really heard in each clip of a split, in the order of the ids."""
    pairs = sorted(pair for each in songs if each.split == split for pair in zip(each.ids, each.labels))
    return np.array([label for _, label in pairs])


def misheard(labels, *, seed):
    """The labels as people gave them: some wrong, but no class lost.

    Parameters
    ----------
    labels : ndarray of int, shape (clips,)

    Returns
    -------
    ndarray of int, shape (clips,)
    """
    rng = np.random.default_rng([seed, 1])
    heard = labels.copy()
    wrong = 0
    for clip in rng.permutation(len(labels)):
        if wrong == round(LABEL_NOISE * len(labels)):
            break
        if labels[clip] in MISHEARD and np.sum(heard == labels[clip]) > 1:
            heard[clip] = rng.choice(MISHEARD[labels[clip]])
            wrong += 1
    return heard


def _song_lengths(count, rng):
    lengths = []
    while count:
        length = min(int(rng.integers(*LENGTHS)), count)
        # No song of a few clips at the end, unless there are only a few.
        if 0 < count - length < LENGTHS[0]:
            length = count if count < 2 * LENGTHS[0] else count - LENGTHS[0]
        lengths.append(length)
        count -= length
    return lengths


def _labels(length, rng):
    """Sections of one song: breaks, the lead alone, and the lead among others."""
    lead = rng.choice([1, 2], p=SHARES[1:3] / SHARES[1:3].sum())
    labels, now = [], None
    odds = np.array([2.5 * SHARES[0], SHARES[1] + SHARES[2], SHARES[3]])  # breaks are shorter, so oftener
    while len(labels) < length:
        choices = [label for label in (0, lead, 3) if label != now]
        weight = np.array([odds[min(label, 1) + (label == 3)] for label in choices])
        now = rng.choice(choices, p=weight / weight.sum())
        labels += [int(now)] * int(1 if now == 0 else rng.integers(1, 5))
    return labels[:length]


def _distance_from_shares(labels):
    counts = np.bincount(np.concatenate(labels), minlength=4)
    return (counts == 0).sum(), np.abs(counts / counts.sum() - SHARES).sum()


def _build(building, arguments, jobs):
    seed, train, test = arguments["seed"], arguments["train"], arguments["test"]
    for name in (*FOLDERS.values(), "answers"):
        (building / name).mkdir()
    songs = plan(seed=seed, train=train, test=test)
    made = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_write_song)(building, each, seed) for each in songs
    )
    for _ in progress(made, total=len(songs), title="demo songs", unit="song"):
        pass
    given = misheard(true_labels(songs, "train"), seed=seed)
    _write_lines(building / "train_label.txt", given)
    _write_lines(building / "answers" / "test_label.txt", true_labels(songs, "test"))
    rows = sorted((each.split != "train", clip, each.split, each.number) for each in songs for clip in each.ids)
    _write_lines(building / "answers" / "songs.csv",
                 ["split,id,song", *(f"{split},{clip},{number}" for _, clip, split, number in rows)])
    # As the real one: a byte order mark, and no newline at the end.
    sample = "\n".join(["id,category", *(f"{clip},1" for clip in range(test))])
    (building / "example_submission.csv").write_text(sample, encoding="utf-8-sig", newline="\n")


def _write_song(building, each, seed):
    from .synthesis import CLIP_RATE, CLIP_SAMPLES, song  # with scipy behind it: a demo that is made need not wait

    # A generator of its own for each song, so that it doesn't matter which process makes it, or when.
    sound = song(each.labels, np.random.default_rng([seed, 2, each.number]))
    for clip, piece in zip(each.ids, sound.reshape(-1, CLIP_SAMPLES)):
        encoded = io.BytesIO()  # in memory first: a full disk then speaks as an OSError, not in LAME's words
        soundfile.write(encoded, piece, CLIP_RATE, format="MP3", subtype="MPEG_LAYER_III")
        (building / FOLDERS[each.split] / f"{clip}.mp3").write_bytes(encoded.getvalue())


def _write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
