"""The songs of a competition as a table on disk, beside the features: inferred from the sound, or the user's table."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.labels import read_table, whole_numbers
from ..utils.artifacts import claim, digest, read_record, write_record
from ..utils.errors import KitError, listed
from ..utils.lock import exclusive_task
from ..utils.progress import say
from ..utils.storage import read_json, write_table
from . import folds
from .inference import FEWEST_PAIRS, VERSION, infer
from .traces import trace_clips

UNKNOWN = -1    # song and group of a test clip that the user's table does not contain
_INFERRED = f"inferred, version {VERSION}"     # the source of songs, or a digest of the user's table
_TYPES = {"split": str, **dict.fromkeys(("id", "song", "group", "follows"), np.int64), "level": float, "content": str}


@dataclass(frozen=True)
class Songs:
    """Which song each clip comes from.

    Attributes
    ----------
    table : DataFrame
        One row per clip, train before test: ``split``, ``id``, ``song``, ``group`` (one song, or several that sound too
        much alike to be separated), ``follows`` (the row of the clip that continues this one, or -1),
        ``level`` in dBFS, ``content`` (equal for clips of equal samples, empty for silence).
    fold : ndarray, shape (train clips,), int64
        Validation fold of each train clip; -1 if there are too few songs for folds.
    is_inferred : bool
        False for the user's table.
    """

    table: pd.DataFrame
    fold: np.ndarray
    is_inferred: bool = True

    def of(self, split):
        """The rows of 'train' or 'test'."""
        return self.table[self.table["split"] == split]

    @property
    def known(self):
        """The rows of the clips whose song is known."""
        return self.table[self.table["song"] != UNKNOWN]

    @property
    def group(self):
        """Group of each train clip: ndarray, shape (train clips,), int64."""
        return self.of("train")["group"].to_numpy()

    @property
    def fingerprint(self):
        """Changes with the groups and folds of the train clips."""
        return digest([self.group.tolist(), self.fold.tolist()])

    @property
    def torn(self):
        """Number of train clips whose duplicates (equal samples, not silence) are in another group."""
        train = self.of("train")
        return int((train[train["content"] != ""].groupby("content")["group"].transform("nunique") > 1).sum())

    @property
    def caveat(self):
        """A limitation of the split by songs, as a sentence; empty if there is none."""
        if not self.is_inferred:
            return "" if not self.torn else (
                f"{self.torn} train clips are duplicates of clips that your own table puts into another song; "
                "if they are in different folds, the folds leak."
            )
        if (self.table["follows"] >= 0).sum() < FEWEST_PAIRS:
            return "Too few clips to learn how a song sounds: many pieces of one song count as separate songs."
        return "Songs were inferred from the sound, so a clip may be missing from its group."


def find_songs(train, test, labels, path, recipe, *, own="", jobs=-1):
    """Infer the songs and assign them to folds, or read both if they exist.

    Parameters
    ----------
    train, test : Sources
        The clips themselves are compared, not their vocals, because the accompaniment identifies a song.
    labels : ndarray, shape (train clips,), int
    path : path-like
        The table, such as ``features/songs.csv``; ``songs.json`` is its record. ``folds.json`` beside it contains the
        folds, which are made again when labels, groups, the number of folds or their seed change.
    recipe : Recipe
        ``folds`` and ``split_seed``.
    own : path-like
        A CSV with the columns ``id`` and ``song`` (train clips), or ``split``, ``id`` and ``song``, which replaces the
        inference.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Songs

    Raises
    ------
    KitError
        If the existing table was made from other clips or songs, or the user's table is incomplete.
    """
    path = Path(path)
    own = _read_own(own, train.clips, test.clips) if str(own) else None
    is_inferred = _claim(path, train, test, own)
    if not path.exists():
        with exclusive_task(path.parent, "finding songs"):
            if not path.exists():   # the process that held the lock may have made it
                _make(path, train, test, own, jobs)
    table = _read(path, train, test)
    group = table["group"][table["split"] == "train"].to_numpy()
    fold = _folds(path.with_name("folds.json"), labels, group, recipe)
    folds.require_whole_groups(fold, group)
    return Songs(table, fold, is_inferred)


def check_own_songs(path, competition=None, *, on_bad="fail"):
    """Refuse a user's table that `find_songs` would refuse; without a competition whatever its clips are.

    Parameters
    ----------
    path : path-like
        Empty: there is no such table.
    competition : Competition or None
    on_bad : str
        With 'skip', train clips without a song are not refused yet: bad ones need none.
    """
    if str(path):
        train = range(len(competition.train)) if competition and on_bad == "fail" else ()
        test = competition.test_ids.tolist() if competition else ()
        _read_own(path, train, test, quiet=True)


def _claim(path, train, test, own):
    """Record what the table is made from, or check the record that is there. Returns whether songs are inferred."""
    note = path.with_suffix(".json")
    record = read_record(note)
    songs = _INFERRED if own is None else digest([song.tolist() for song in own])
    if own is None and record and path.exists() and not record["made_by"]["songs"].startswith("inferred"):
        songs = record["made_by"]["songs"]      # the user's table stays until another one is given
    made_by = {"clips": digest([train.fingerprint, test.fingerprint]), "songs": songs}
    claim(note, made_by, artifact=path, exists=path.exists(), delete=f"{path}, {note.name} and the members")
    return songs == _INFERRED


def _make(path, train, test, own, jobs):
    traces = trace_clips([*train.clips.values(), *test.clips.values()], jobs=jobs)
    if own is None:
        song, group, follows = infer(traces)
    else:
        song = group = np.concatenate(own)
        follows = np.full(len(song), -1)
    table = pd.DataFrame({
        "split": ["train"] * len(train.clips) + ["test"] * len(test.clips),
        "id": [*train.clips, *test.clips], "song": song, "group": group, "follows": follows,
        "level": traces.level, "content": traces.content,
    })
    write_table(path, table.round({"level": 1}))


def _read(path, train, test):
    try:
        table = pd.read_csv(path, usecols=list(_TYPES), dtype=_TYPES, index_col=False, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise KitError(f"{path} cannot be read ({error}). Delete it and run 02_features again.") from error
    if list(zip(table["split"], table["id"])) != _clips(train.clips, test.clips):
        raise KitError(f"{path} does not list the clips in order, train before test. Delete it and run again.")
    return table


def _clips(train, test):
    """Split and id of every clip, in the order of the table's rows."""
    return [*(("train", i) for i in train), *(("test", i) for i in test)]


def _folds(path, labels, group, recipe):
    made_by = {"labels": digest(labels.tolist()), "groups": digest(group.tolist()),
               "folds": recipe.folds, "split_seed": recipe.split_seed}
    record = read_json(path)
    # folds cost milliseconds, so any others are made again instead of refused
    if not isinstance(record, dict) or record.get("made_by") != made_by or len(record["fold"]) != len(labels):
        fold = folds.assign(labels, group, folds=recipe.folds, seed=recipe.split_seed)
        write_record(path, made_by, fold=fold.tolist())
        return fold
    return np.array(record["fold"])


def _read_own(path, train, test, *, quiet=False):
    """Song numbers of the train and of the test clips, which are given by their ids, from the user's table."""
    table = read_table(path, columns=("id", "song"))
    split = table["split"].str.strip() if "split" in table else pd.Series("train", index=table.index)
    song = table["song"].str.strip()
    wrong = split[~split.isin(["train", "test"])]
    if len(wrong):
        raise KitError(f"{path}, line {wrong.index[0]}: split {wrong.iloc[0]!r} is not train or test.")
    if (song == "").any():
        raise KitError(f"{path}, line {song.index[song == ''][0]}: the song is missing.")
    keys = list(zip(split, whole_numbers(table["id"], path).tolist()))
    duplicates = [f"{split} clip {i}" for (split, i), times in Counter(keys).items() if times > 1]
    if duplicates:
        raise KitError(f"{path} lists {listed(duplicates)} more than once.")
    numbers = dict(zip(keys, song))
    missing = [i for i in train if ("train", i) not in numbers]
    if missing:
        raise KitError(f"{path} has no song for the train clips {listed(missing)}.")
    clips = _clips(train, test)
    if (unknown := len(numbers.keys() - set(clips))) and not quiet:
        say(f"{path} lists {unknown} unknown clips, which are ignored")
    # numbered by their first clips, whatever the order of the table; factorize numbers None as -1, which is UNKNOWN
    number = pd.factorize(np.array([numbers.get(clip) for clip in clips], object))[0].astype(np.int64)
    return number[: len(train)], number[len(train) :]
