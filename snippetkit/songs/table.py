"""The songs of a competition as a table on the disk, beside the features: made once, then the same for every member.

Where songs come from (the sound, or a person's own table) is settled here; how they are inferred is not known.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import KitError, listed
from ..labels import read_table, whole_numbers
from ..recipe import digest
from ..storage import fingerprint, read_json, replacing, write_json
from . import folds
from .contents import look

INFERRED = "inferred from the sound"
UNKNOWN = -1    # song and group of a test clip where a person's table knows train clips only


@dataclass(frozen=True)
class Songs:
    """Which song each clip comes from.

    Attributes
    ----------
    table : DataFrame
        A row a clip, train before test: ``split``, ``id``, ``song``, ``group`` (songs that sound too much alike to be
        told apart for certain), ``fold`` (in which a train clip is held out, -1 for test clips), ``level`` in dBFS and
        ``content`` (equal for clips of equal samples).
    source : str
        'inferred from the sound', or 'taken from …'.
    """

    table: pd.DataFrame
    source: str = INFERRED

    def of(self, split):
        """The rows of 'train' or 'test'."""
        return self.table[self.table["split"] == split]

    @property
    def group(self):
        """Of the train clips: ndarray, shape (train clips,), int64."""
        return self.of("train")["group"].to_numpy()

    @property
    def fold(self):
        """Of the train clips: ndarray, shape (train clips,), int64."""
        return self.of("train")["fold"].to_numpy()

    @property
    def fingerprint(self):
        """Changes with the groups and folds of the train clips."""
        return digest([self.group.tolist(), self.fold.tolist()])


def find_songs(train, test, labels, path, recipe, *, own="", jobs=-1):
    """Infer the songs and divide them into folds, or find that done.

    Parameters
    ----------
    train, test : Sources
        Songs are told by the clips themselves, never by their vocals: the accompaniment is what a song is known by.
    labels : ndarray, shape (train clips,), int
    path : path-like
        The table, such as ``features/songs.csv``; a JSON beside it says what it was made from.
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
        If the table there was made from other clips, labels or songs, or a person's own lacks clips.
    """
    path = Path(path)
    note = path.with_suffix(".json")
    identity = {
        "clips": [fingerprint(train.clips.values()), fingerprint(test.clips.values())],
        "labels": digest(labels.tolist()), "folds": recipe.folds, "split_seed": recipe.split_seed,
    }
    theirs = read_json(note)
    # Whoever names no table takes the songs that are there, wherever they came from.
    source = (theirs or {}).get("source", INFERRED)
    if str(own):
        source = f"taken from {Path(own).name} ({fingerprint([Path(own)])})"
    identity["source"] = source
    if theirs is None or not path.exists():
        song, group = _read_own(own, train, test) if str(own) else _inferred(train, test, jobs)
        fold = folds.assign(labels, group[: len(train.clips)], folds=recipe.folds, seed=recipe.split_seed)
        _write(path, train, test, song, group, fold, jobs)
        write_json(note, identity)
    elif theirs != identity:
        names = listed(name for name in identity if theirs.get(name) != identity[name])
        raise KitError(f"{path} was made with other {names}; choose another output folder, or delete it with its JSON "
                       "and the members to start anew.")
    songs = _read(path, source)
    folds.check(songs.fold, songs.group)
    return songs


def _inferred(train, test, jobs):
    from .inference import infer  # scipy and scikit-learn, for which a table that is there need not wait
    from .traces import listen

    paths = [*train.clips.values(), *test.clips.values()]
    return infer(listen(paths, jobs=jobs), look(paths, jobs=jobs)["content"])


def _write(path, train, test, song, group, fold, jobs):
    clips = {"train": train.clips, "test": test.clips}
    table = pd.DataFrame({
        "split": [split for split, its in clips.items() for _ in its],
        "id": [i for its in clips.values() for i in its],
        "song": song,
        "group": group,
        "fold": np.concatenate([fold, np.full(len(test.clips), UNKNOWN)]),
        **look([*train.clips.values(), *test.clips.values()], jobs=jobs),
    })
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.1f")


def _read(path, source):
    try:
        table = pd.read_csv(path, dtype={"content": str})
        return Songs(table.astype(dict.fromkeys(("id", "song", "group", "fold"), np.int64)), source)
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"{path} cannot be read ({error}); delete it with its JSON, and run 02_features.") from error


def _read_own(path, train, test):
    path = Path(path)
    table = read_table(path, columns=("id", "song"))
    split = table["split"] if "split" in table else pd.Series("train", index=table.index)
    wrong = split[~split.isin(["train", "test"])]
    if len(wrong):
        raise KitError(f"line {wrong.index[0] + 2} of {path} has the split {wrong.iloc[0]!r}, not train or test.")
    keys = list(zip(split, whole_numbers(table["id"], path).tolist()))
    if len(set(keys)) < len(keys):
        twice = listed(sorted({f"{split} clip {i}" for split, i in keys if keys.count((split, i)) > 1}))
        raise KitError(f"{path} gives {twice} more than one song.")
    numbers = dict(zip(keys, pd.factorize(table["song"])[0].tolist()))
    missing = [i for i in train.clips if ("train", i) not in numbers]
    if missing:
        raise KitError(f"{path} gives no song for the train clips {listed(missing)}.")
    song = [numbers[("train", i)] for i in train.clips] + [numbers.get(("test", i), UNKNOWN) for i in test.clips]
    return np.array(song), np.array(song)
