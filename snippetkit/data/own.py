"""Data that are not laid out as the competition's: one folder per class, or a CSV of files and labels."""

import re

import numpy as np
import pandas as pd

from ..audio.recordings import SUFFIXES
from ..utils.errors import KitError, listed
from ..utils.folders import files_in, subfolders_of, walk
from .labels import read_table


def read_own(root, split_named):
    """Read clips and labels of one of the two layouts.

    With a CSV, ``file`` is a path below the CSV's folder, and an empty ``label`` marks a clip to predict. With folders,
    every subfolder of `root`, or of its train folder, that contains sound is a class; a test folder is optional, and
    its labels are known if it contains the same folders. A folder's number is not part of the class's name:
    ``1_one_male_voice`` is 'one male voice', the second class.

    Parameters
    ----------
    root : Path
    split_named : callable
        Name of a folder to 'train', 'test' or None.

    Returns
    -------
    dict or None
        Arguments of `Competition` but ``root``; None if the data have neither layout.

    Raises
    ------
    KitError
        If there are several CSVs, or a CSV lists a missing file, a file twice, or fewer than two classes.
    """
    tables = [path for path in files_in(root) if path.suffix.lower() == ".csv" and _has_labels(path)]
    if len(tables) > 1:
        raise KitError(f"{listed(tables)} are tables of files and labels. Keep one of them.")
    return _read_table(tables[0]) if tables else _read_folders(root, split_named)


def _has_labels(path):
    """Whether the first line of a CSV names both columns; what is wrong below it is for `read_table` to say."""
    try:
        columns = pd.read_csv(path, nrows=0, encoding="utf-8-sig", skipinitialspace=True).columns
    except (OSError, ValueError):   # another file of that name is none of the kit's
        return False
    return {"file", "label"} <= set(columns.str.strip())


def _read_table(path):
    table = read_table(path, columns=("file", "label"))
    names, labels = table["file"].str.strip(), table["label"].str.strip()
    if (twice := names[names.duplicated()]).any():
        raise KitError(f"{path} lists {twice.iloc[0]} twice, in line {twice.index[0]} and before.")
    files = names.map(path.parent.joinpath)
    if (missing := names[~files.map(lambda file: file.is_file())]).any():
        raise KitError(
            f"{path}, line {missing.index[0]}: there is no file {files[missing.index[0]]} ({len(missing)} missing). "
            f"Paths begin at {path.parent}."
        )
    classes = sorted(set(labels) - {""}, key=_number_then_name)
    if len(classes) < 2:
        raise KitError(f"{path} has {len(classes)} classes: {listed(classes) or 'no label'}. Two or more are needed.")
    is_labelled = labels != ""
    return _arguments(
        path.parent, classes, files[is_labelled], labels[is_labelled].map(classes.index), test=files[~is_labelled],
    )


def _read_folders(root, split_named):
    splits = {split_named(folder.name): folder for folder in subfolders_of(root)}
    folders = _class_folders(splits.get("train", root), split_named)
    if len(folders) < 2:
        return None
    classes = sorted(folders, key=_number_then_name)
    train = [(file, label) for label, name in enumerate(classes) for file in folders[name]]
    test, known = [], _class_folders(splits["test"], split_named) if "test" in splits else {}
    if known.keys() <= folders.keys():
        test = [(file, classes.index(name)) for name, files in known.items() for file in files]
    has_labels = bool(test)
    if "test" in splits and not test:
        test = [(file, -1) for file in _sounds_below(splits["test"])]
    return _arguments(
        root, map(_class_name, classes), *zip(*train), test=[file for file, _ in test],
        test_labels=[label for _, label in test] if has_labels else None,
    )


def _class_folders(folder, split_named):
    """Names of the subfolders with sound below them, except those of the splits, to their files."""
    folders = [path for path in subfolders_of(folder) if split_named(path.name) is None]
    return {path.name: files for path in folders if (files := _sounds_below(path))}


def _sounds_below(folder):
    return sorted(path for _, files in walk(folder) for path in files if path.suffix.lower() in SUFFIXES)


def _number_then_name(name):
    number = re.match(r"\d+", name)
    return (int(number[0]) if number else -1), name.casefold()


def _class_name(folder):
    return re.sub(r"^\d+[_ -]+", "", folder).replace("_", " ")


def _arguments(root, classes, train, labels, *, test, test_labels=None):
    return {
        "train": tuple(train), "labels": np.array(list(labels), np.int64), "test": tuple(test),
        "test_ids": np.arange(len(test)), "classes": tuple(classes),
        "test_labels": None if test_labels is None else np.array(test_labels, np.int64),
        "names": {
            split: [path.relative_to(root).as_posix() for path in paths]
            for split, paths in (("train", train), ("test", test))
        },
    }
