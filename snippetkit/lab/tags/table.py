"""Tables of labels: a column of 0 and 1 per tag, as in MagnaTagATune's annotations, or several columns of classes."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...data.labels import read_table
from ...utils.errors import KitError, listed, report_os_error
from ...utils.folders import files_in

_FILES = ("mp3_path", "file", "path", "filename")   # the column that names the recording, the first that is there
_GROUPS = ("group", "artist", "song")               # the same for what folds keep together
_IDS = ("clip_id", "id")
# MagnaTagATune's file names: artist-album-track-title-start-end
_ARTIST = re.compile(r"(.+?)-.+-\d+-.+-\d+-\d+")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of some recordings.

    Attributes
    ----------
    table : Path
    lines : ndarray, shape (recordings,), int64
        Line of each recording in the table.
    names : ndarray of str, shape (recordings,)
        Files as the table names them.
    paths : list of Path
    groups : ndarray, shape (recordings,), int64
        Number of the artist, or of what else folds keep together.
    targets : ndarray, shape (recordings, outputs), int64
        1 for each tag, or for one class of each column.
    columns : dict
        Name of each column to its classes; those of a tag are empty.
    """

    table: Path
    lines: np.ndarray
    names: np.ndarray
    paths: list
    groups: np.ndarray
    targets: np.ndarray
    columns: dict

    @property
    def is_tags(self):
        """Whether each output is a tag; otherwise the outputs of a column are its classes."""
        return not any(self.columns.values())

    @property
    def outputs(self):
        """Name of each output: ``tag``, or ``column: class``."""
        named = [(name, value) for name, values in self.columns.items() for value in values or [""]]
        return [f"{name}: {value}" if value else name for name, value in named]

    def without(self, rows):
        """The same labels without some recordings."""
        kept = np.setdiff1d(np.arange(len(self.paths)), rows)
        arrays = {name: getattr(self, name)[kept] for name in ("lines", "names", "groups", "targets")}
        return replace(self, paths=[self.paths[i] for i in kept], **arrays)


def find_table(path):
    """The table itself, or the only one (``.csv``, ``.tsv``) in a folder.

    Raises
    ------
    KitError
        If there is none, or more than one.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    tables = [file for file in files_in(path) if file.suffix.lower() in (".csv", ".tsv")]
    if len(tables) != 1:
        names = listed(table.name for table in tables) or "no table"
        raise KitError(f"{path} holds {names}. Give one table of labels, such as {path / 'tags.csv'}.")
    return tables[0]


def read_labels(path, *, recordings="", columns=(), top=0):
    """Read a table of labels, comma-separated or, if its first line has a tab, tab-separated.

    Parameters
    ----------
    path : path-like
        One column names the files (``mp3_path``, ``file``, ``path`` or ``filename``). A column ``group``, ``artist`` or
        ``song`` says which recordings folds keep together. Without it, the artist is taken from a name of
        MagnaTagATune's; any other recording is its own group. ``clip_id`` and ``id`` are ignored.
    recordings : path-like
        Folder that the file names are relative to; empty: that of the table.
    columns : sequence of str
        Label columns; empty: all others. They are tags if they contain 0 and 1, and classes otherwise.
    top : int
        Keep only so many tags, the most frequent ones; 0 keeps all.

    Returns
    -------
    Labels

    Raises
    ------
    KitError
        If the table cannot be read, has no such column, lists a file twice, or contains a value that is no label; the
        message names the line.
    """
    path = Path(path)
    table = read_table(path, columns=(), delimiter=_delimiter(path)).apply(lambda column: column.str.strip())
    if doubled := table.columns[table.columns.duplicated()].tolist():
        raise KitError(f"{path} has twice the column {listed(doubled)}.")
    file = next((name for name in _FILES if name in table), None)
    if file is None:
        raise KitError(f"{path} has no column that names the recordings. Call it one of {', '.join(_FILES)}.")
    if not len(table):
        raise KitError(f"{path} lists no recordings.")
    names = _unique_names(path, table[file])
    labels = _label_columns(path, table, columns)
    is_tags = _are_tags(path, labels)
    if top and not is_tags:
        raise KitError(f"{path} has columns of classes, not tags, so the {top} most frequent tags cannot be chosen.")
    targets, classes = (_tags if is_tags else _classes)(path, labels)
    if top:
        kept = np.sort(np.argsort(-targets.sum(axis=0), kind="stable")[:top])
        targets, classes = targets[:, kept], {list(classes)[i]: () for i in kept}
    folder = Path(recordings) if str(recordings) else path.parent
    return Labels(
        table=path, lines=names.index.to_numpy(), names=names.to_numpy(), paths=[folder / name for name in names],
        groups=_group(table, file), targets=targets, columns=classes,
    )


def missing_files(labels):
    """Rows whose file does not exist, and the message for each: dict of int to str."""
    return {i: f"there is no file {path}" for i, path in enumerate(labels.paths) if not path.is_file()}


def _delimiter(path):
    with report_os_error(f"{path} cannot be read"), open(path, encoding="utf-8-sig", errors="replace") as file:
        return "\t" if "\t" in file.readline() else ","


def _unique_names(path, names):
    if (names == "").any():
        raise KitError(f"{path}, line {names.index[names == ''][0]}: the name of the recording is missing.")
    if names.duplicated().any():
        line = names.index[names.duplicated()][0]
        raise KitError(f"{path}, line {line}: {names[line]} is listed a second time.")
    return names


def _label_columns(path, table, columns):
    if unknown := [name for name in columns if name not in table]:
        raise KitError(f"{path} has no column {listed(unknown)}. It has {', '.join(table.columns)}.")
    names = list(columns) or [name for name in table if name not in (*_FILES, *_GROUPS, *_IDS)]
    if not names:
        raise KitError(f"{path} has no label column beside {', '.join(table.columns)}.")
    return table[names]


def _are_tags(path, labels):
    """Whether the columns are tags: most values are 0 or 1, so that a single wrong one is still named."""
    share = labels.isin(["0", "1"]).mean()
    if not 0 < (share > 0.5).sum() < len(share):
        return bool((share > 0.5).all())
    tags, others = (listed(share.index[which]) for which in (share > 0.5, share <= 0.5))
    raise KitError(
        f"{path}: the columns {tags} contain 0 and 1, as tags do, but the columns {others} do not. Choose label "
        "columns of one kind with --columns."
    )


def _tags(path, labels):
    wrong = ~labels.isin(["0", "1"])
    if wrong.any(axis=None):
        line = wrong.index[wrong.any(axis=1)][0]
        tag = wrong.columns[wrong.loc[line]][0]
        raise KitError(f"{path}, line {line}: the tag {tag} is {labels.loc[line, tag]!r}, not 0 or 1.")
    return (labels == "1").to_numpy(np.int64), dict.fromkeys(labels, ())


def _classes(path, labels):
    columns, targets = {}, []
    for name, values in labels.items():
        if (values == "").any():
            raise KitError(f"{path}, line {values.index[values == ''][0]}: the class of the column {name} is missing.")
        numbers, classes = pd.factorize(values, sort=True)
        if len(classes) < 2:
            raise KitError(f"{path}: the column {name} has only one class, {classes[0]}. Leave it out with --columns.")
        columns[name] = tuple(classes)
        targets.append(np.eye(len(classes), dtype=np.int64)[numbers])
    return np.hstack(targets), columns


def _group(table, file):
    """Number of the group of each row; a row without one is its own."""
    column = next((name for name in _GROUPS if name in table), None)
    if column:
        groups = table[column]
    elif file == "mp3_path":
        artists = table[file].map(lambda name: _ARTIST.fullmatch(Path(name).stem))
        groups = artists.map(lambda match: match[1] if match else "")
    else:
        groups = pd.Series("", table.index)
    own = [name or (line,) for line, name in groups.items()]
    return pd.factorize(pd.Series(own, dtype=object))[0].astype(np.int64)
