"""Find and check the files of a competition: clips, labels and the sample submission.

Copies of the data nest their folders differently, so files are searched for below a root folder. Nothing here decodes
audio.
"""

import os
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import KitError, listed
from ..utils.storage import replacing
from .labels import CLASSES, LABEL_SUFFIXES, read_consistent, read_labels
from .submission import read_sample_ids

_CLIPS = "[!.]*.mp3"     # hidden files are not clips
_SAMPLE_NAMES = ("example_submission.csv", "sample_submission.csv")


@dataclass(frozen=True, kw_only=True)
class Competition:
    """The files of a competition, checked against each other.

    Attributes
    ----------
    root : Path
    train, test : tuple of Path
        Clips: ``train[i]`` has the id i, and ``test[k]`` belongs to row k of the submission.
    labels : ndarray, shape (len(train),), int64
    test_ids : ndarray, shape (len(test),), int64
        In the order of the sample submission; ascending if there is none.
    test_labels : ndarray, shape (len(test),), int64, or None
        In the same order; None if there is no ``test_label`` file. The demo competition has one.
    """

    root: Path
    train: tuple
    labels: np.ndarray
    test: tuple
    test_ids: np.ndarray
    test_labels: np.ndarray | None


def find(root):
    """Find and check the files of a competition below `root`.

    Returns
    -------
    Competition

    Raises
    ------
    KitError
        If clips, labels or test clips are missing, occur twice, or contradict each other; the message names the file.
    """
    root = Path(root)
    if not root.is_dir():
        raise KitError(f"there is no data folder {root}. Give the folder that holds the competition's files.")
    folders, files = _search(root)
    train, test = (_split_clips(folders, split, root) for split in ("train", "test"))
    _require_no_gap(train, "train")
    labels = _consistent_labels(files["train_label"], train)
    if labels is None:
        raise KitError(f"no labels found under {root}: looked for train_label.txt, .npz or .csv.")
    if files["test_label"] or not files["sample"]:
        _require_no_gap(test, "test")
    test_ids = _sample_ids(files["sample"], test) if files["sample"] else np.array(list(test))
    test_labels = _consistent_labels(files["test_label"], test)
    return Competition(
        root=root, train=tuple(train.values()), labels=labels, test=tuple(test[i] for i in test_ids), test_ids=test_ids,
        # label files are in the order of the ids, test clips in the order of the submission
        test_labels=None if test_labels is None else test_labels[test_ids],
    )


def sort_clips(clips, labels, folder, *, link=False):
    """Copy clips into one folder per class, such as ``1_one_male_voice``.

    Parameters
    ----------
    clips : sequence of Path
    labels : ndarray, shape (len(clips),), int
    folder : path-like
    link : bool
        Link to the clips instead of copying them.

    Raises
    ------
    KitError
        If a file cannot be written or linked.
    """
    place = os.symlink if link else shutil.copyfile
    for clip, label in zip(clips, labels, strict=True):
        target = Path(folder) / f"{label}_{CLASSES[label].replace(' ', '_')}" / clip.name
        if not target.exists():
            with replacing(target) as temporary:
                place(clip.resolve(), temporary)


def mp3s_below(folder):
    """List every MP3 below a folder, under any name.

    Returns
    -------
    list of Path

    Raises
    ------
    KitError
        If there is none.
    """
    clips = sorted(Path(folder).rglob(_CLIPS))
    if not clips:
        raise KitError(f"no MP3s found below {folder}.")
    return clips


def clips_in(folder):
    """List the clips of one folder by id.

    Returns
    -------
    dict
        int to Path, ascending.

    Raises
    ------
    KitError
        If there is none, the name of a clip is not a number, or two clips have the same number.
    """
    clips = {}
    for path in sorted(Path(folder).glob(_CLIPS)):
        if not path.stem.isdecimal():
            raise KitError(f"{path} is not named by a number, such as 7.mp3. Rename or remove it.")
        if other := clips.get(int(path.stem)):
            raise KitError(f"{other} and {path} have the same id, {int(path.stem)}. Remove one of them.")
        clips[int(path.stem)] = path
    if not clips:
        raise KitError(f"no clips found in {folder}: looked for 0.mp3, 1.mp3, ….")
    return dict(sorted(clips.items()))


def _search(root):
    """Folders that hold numbered MP3s; and the label and sample files by kind."""
    folders, files = [], defaultdict(list)
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if any(re.fullmatch(r"\d+\.mp3", name) for name in names):
            folders.append(Path(folder))
        for path in (Path(folder, name) for name in sorted(names)):
            if (match := re.fullmatch(r"(train|test)_labels?", path.stem)) and path.suffix in LABEL_SUFFIXES:
                files[f"{match[1]}_label"].append(path)
            if path.name in _SAMPLE_NAMES:
                files["sample"].append(path)
    return folders, files


def _split_clips(folders, split, root):
    """The clips of a split by id."""
    candidates = [folder for folder in folders if _split_of(folder, root) == split]
    if not candidates:
        raise KitError(
            f"no {split} clips found under {root}: looked for a folder with '{split}' in its name that holds 0.mp3, "
            "1.mp3, …. Give the folder that holds the competition's files."
        )
    if len(candidates) > 1:
        raise KitError(f"more than one folder of {split} clips under {root}: {listed(candidates)}. Keep one of them.")
    return clips_in(candidates[0])


def _split_of(folder, root):
    # The innermost name counts: a dataset called "test-data" may hold the train clips.
    names = [name.lower() for name in reversed(folder.relative_to(root.parent).parts)]
    return next((split for name in names for split in ("train", "test") if split in name), None)


def _folder_of(clips):
    return next(iter(clips.values())).parent


def _require_no_gap(clips, split):
    if missing := sorted(set(range(max(clips) + 1)) - set(clips)):
        raise KitError(
            f"{_folder_of(clips)} has a gap: {len(clips)} {split} clips with ids up to {max(clips)}, but no "
            f"{listed(f'{i}.mp3' for i in missing)}. Labels are assigned by id, so add the missing clips first."
        )


def _consistent_labels(paths, clips):
    labels = read_consistent(paths, read_labels, "hold different labels")
    if labels is not None and len(labels) != len(clips):
        raise KitError(f"{paths[0]} has {len(labels)} labels, but {_folder_of(clips)} has {len(clips)} clips.")
    return labels


def _sample_ids(paths, clips):
    ids = read_consistent(paths, read_sample_ids, "list different ids or in another order")
    unique, counts = np.unique(ids, return_counts=True)
    if counts.max(initial=0) > 1:
        raise KitError(f"{paths[0]} lists id {unique[counts.argmax()]} twice.")
    missing = {"clip for id": set(ids) - set(clips), "row for clip": set(clips) - set(ids)}
    problems = [f"no {kind} {listed(sorted(numbers))}" for kind, numbers in missing.items() if numbers]
    if problems:
        raise KitError(f"{paths[0]} does not match the test clips in {_folder_of(clips)}: {' and '.join(problems)}.")
    return ids
