"""The songs of a competition as a table on the disk, beside the features: made once, then the same for every member.

Where songs come from (the sound, or a person's own table) is settled here; how they are inferred is not known.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed
from ..utils.fingerprints import digest, fingerprint
from ..data.labels import read_table, whole_numbers
from ..utils.lock import at_work
from ..utils.progress import say
from ..utils.storage import read_json, write_json, write_table
from . import folds
from .contents import look
from .inference import FEWEST_PAIRS, VERSION, infer
from .traces import listen

UNKNOWN = -1    # song and group of a test clip where a person's table knows train clips only
_INFERRED = {"inferred": VERSION}
_NUMBERS = ("id", "song", "group", "follows")
_COLUMNS = ("split", *_NUMBERS, "level", "content")


@dataclass(frozen=True)
class Songs:
    """Which song each clip comes from.

    Attributes
    ----------
    table : DataFrame
        A row a clip, train before test: ``split``, ``id``, ``song``, ``group`` (one song, or several that sound too
        much alike to be told apart for certain), ``follows`` (the row of the clip that continues this one, or -1),
        ``level`` in dBFS, ``content`` (equal for clips of equal samples, empty for silence).
    fold : ndarray, shape (train clips,), int64
        In which a train clip is held out; -1 where there are too few songs for folds.
    is_inferred : bool
        From the sound; a person's own table otherwise.
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
        """Of the train clips: ndarray, shape (train clips,), int64."""
        return self.of("train")["group"].to_numpy()

    @property
    def fingerprint(self):
        """Changes with the groups and folds of the train clips."""
        return digest([self.group.tolist(), self.fold.tolist()])

    @property
    def torn(self):
        """Train clips of which others of the same samples (not silence) are in another group: int."""
        train = self.of("train")
        return int((train[train["content"] != ""].groupby("content")["group"].transform("nunique") > 1).sum())

    @property
    def caveat(self):
        """What a person should know before trusting that songs are kept apart; '' if nothing."""
        if not self.is_inferred:
            return "" if not self.torn else (
                f"{self.torn} train clips hold the same samples as clips that the table of your own puts into another "
                "song; where a fold lies between them, it leaks."
            )
        if (self.table["follows"] >= 0).sum() < FEWEST_PAIRS:
            return "There are too few clips to tell songs by how they sound: many pieces of one song count as songs."
        return "Songs were inferred from the sound, so a piece of one may be missing from its group."


def find_songs(train, test, labels, path, recipe, *, own="", jobs=-1):
    """Infer the songs and divide them into folds, or find that done.

    Parameters
    ----------
    train, test : Sources
        Songs are told by the clips themselves, never by their vocals: the accompaniment is what a song is known by.
    labels : ndarray, shape (train clips,), int
    path : path-like
        The table, such as ``features/songs.csv``. A JSON of the same name says what it was made from, and
        ``folds.json`` beside it keeps the folds; they are made anew when labels, groups, the number of folds or their
        seed change.
    recipe : Recipe
        ``folds`` and ``split_seed``.
    own : path-like
        A CSV with the columns ``id`` and ``song`` (train clips), or ``split``, ``id`` and ``song``, to take instead of
        inferring anything.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Songs

    Raises
    ------
    KitError
        If the table there was made from other clips or songs, or a person's own lacks clips.
    """
    path = Path(path)
    given = _read_own(own, train, test) if str(own) else None
    source = _claim(path, train, test, given)
    if not path.exists():
        with at_work(path.parent, "finding songs"):
            if not path.exists():  # who held the folder until now may have found them
                _make(path, train, test, given, jobs)
    table = _read(path, train, test)
    group = table["group"][table["split"] == "train"].to_numpy()
    fold = _folds(path.with_name("folds.json"), labels, group, recipe)
    folds.check(fold, group)
    return Songs(table, fold, source == _INFERRED)


def _claim(path, train, test, given):
    """Write down what the table is to be made from, before it is made, or make sure that the note there says so."""
    note = path.with_suffix(".json")
    theirs = read_json(note)
    if theirs is None and path.exists():
        raise KitError(f"{path} has lost its {note.name}, so nobody knows what it is from; delete it and run again.")
    clips = [fingerprint(train.clips.values()), fingerprint(test.clips.values())]
    source = _INFERRED if given is None else {"own table": digest([given[0].tolist(), given[1].tolist()])}
    if theirs is None:
        write_json(note, {"clips": clips, "source": source})
        return source
    anew = f"choose another output folder, or delete {path.name}, {note.name} and the members to start anew."
    if theirs["clips"] != clips:
        raise KitError(f"{path} was made from other clips; {anew}")
    if given is not None and theirs["source"] != source:
        raise KitError(f"{path} holds songs that are not those of the table given now; {anew}")
    if given is None and theirs["source"] != _INFERRED:
        if "own table" not in theirs["source"]:
            raise KitError(f"{path} was inferred by another version of the kit; {anew}")
        if not path.exists():
            raise KitError(f"{path} was to be made from a table of your own; give it again (--songs), or {anew}")
    return theirs["source"]


def _make(path, train, test, given, jobs):
    paths = [*train.clips.values(), *test.clips.values()]
    contents = look(paths, jobs=jobs)
    if given is None:
        song, group, follows = infer(listen(paths, jobs=jobs), contents["content"])
    else:
        song = group = np.concatenate(given)
        follows = np.full(len(song), -1)
    table = pd.DataFrame({
        "split": ["train"] * len(train.clips) + ["test"] * len(test.clips),
        "id": [*train.clips, *test.clips], "song": song, "group": group, "follows": follows, **contents,
    })
    write_table(path, table.round({"level": 1}))


def _read(path, train, test):
    try:
        table = pd.read_csv(path, dtype={"content": str}, keep_default_na=False)[list(_COLUMNS)]
        table = table.astype(dict.fromkeys(_NUMBERS, np.int64)).astype({"level": float})
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"{path} cannot be read ({error}); delete it and run 02_features again.") from error
    if list(zip(table["split"], table["id"])) != _clips(train, test):
        raise KitError(f"{path} does not list the clips in their order, train before test; delete it and run again.")
    return table


def _clips(train, test):
    """Split and id of every clip, in the order of the table's rows."""
    return [*(("train", i) for i in train.clips), *(("test", i) for i in test.clips)]


def _folds(path, labels, group, recipe):
    of = {"labels": digest(labels.tolist()), "group": digest(group.tolist()),
          "folds": recipe.folds, "split_seed": recipe.split_seed}
    kept = read_json(path)
    if not isinstance(kept, dict) or kept.get("of") != of or len(kept.get("fold", ())) != len(labels):
        fold = folds.assign(labels, group, folds=recipe.folds, seed=recipe.split_seed)
        kept = {"of": of, "fold": fold.tolist()}
        write_json(path, kept)
    return np.array(kept["fold"])


def _read_own(path, train, test):
    """Song numbers of the train and the test clips, as a person's table has them."""
    path = Path(path)
    table = read_table(path, columns=("id", "song"))
    split = table["split"].str.strip() if "split" in table else pd.Series("train", index=table.index)
    song = table["song"].str.strip()
    wrong = split[~split.isin(["train", "test"])]
    if len(wrong):
        raise KitError(f"line {wrong.index[0] + 2} of {path} has the split {wrong.iloc[0]!r}, not train or test.")
    if (song == "").any():
        raise KitError(f"line {song.index[song == ''][0] + 2} of {path} names no song.")
    keys = list(zip(split, whole_numbers(table["id"], path).tolist()))
    twice = [f"{split} clip {i}" for (split, i), times in Counter(keys).items() if times > 1]
    if twice:
        raise KitError(f"{path} gives {listed(twice)} more than one song.")
    numbers = dict(zip(keys, song))
    missing = [i for i in train.clips if ("train", i) not in numbers]
    if missing:
        raise KitError(f"{path} gives no song for the train clips {listed(missing)}.")
    clips = _clips(train, test)
    if unknown := len(numbers.keys() - set(clips)):
        say(f"{path} names {unknown} clips that are not among these; they are left out")
    # by their first clips, whatever the order of the table; factorize numbers None as -1, which is UNKNOWN
    number = pd.factorize(np.array([numbers.get(clip) for clip in clips], object))[0].astype(np.int64)
    return number[: len(train.clips)], number[len(train.clips) :]
