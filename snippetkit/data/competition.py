"""What a competition hands out: find clips, labels and sample submission under a data root; write the submission.

Folders nest differently from one copy of the data to the next, so files are searched for, never spelled out.
Nothing here decodes sound.
"""

import os
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed
from ..utils.storage import replacing
from .labels import CLASSES, LABEL_SUFFIXES, read_labels
from .submission import read_sample_ids

_SAMPLE_NAMES = ("example_submission.csv", "sample_submission.csv")


@dataclass(frozen=True, kw_only=True)
class Competition:
    """The files of one competition, checked against each other.

    Attributes
    ----------
    root : Path
    train, test : tuple of Path
        Clips; the clip with id i is ``train[i]``, and ``test[k]`` is the clip that row k of the submission is about.
    labels : ndarray, shape (len(train),), int64
    test_ids : ndarray, shape (len(test),), int64
        In the order of the sample submission, or ascending where there is none.
    test_labels : ndarray, shape (len(test),), int64, or None
        Only where a ``test_label`` file is at hand, as in the demo competition.
    """

    root: Path
    train: tuple
    labels: np.ndarray
    test: tuple
    test_ids: np.ndarray
    test_labels: np.ndarray | None


def find(root):
    """Find and check the files of a competition below `root`.

    Raises
    ------
    KitError
        If clips, labels or test clips are missing, doubled, or do not fit each other; the text names the file.
    """
    root = Path(root)
    if not root.is_dir():
        raise KitError(f"there is no data folder {root}; give the folder that holds the competition's files.")
    folders, files = _walk(root)
    train = _clips(folders, "train", root)
    test = _clips(folders, "test", root)
    _refuse_gap(train, "train")
    labels = _agreed_labels(files["train_label"], train, required_below=root)
    test_ids = _test_ids(files["sample"], test)
    if files["test_label"]:
        _refuse_gap(test, "test")
    test_labels = _agreed_labels(files["test_label"], test)
    return Competition(
        root=root,
        train=tuple(train[i] for i in range(len(train))),
        labels=labels,
        test=tuple(test[i] for i in test_ids),
        test_ids=test_ids,
        # a label file counts by id, the submission by row
        test_labels=None if test_labels is None else test_labels[test_ids],
    )


def sort_clips(clips, labels, folder, *, link=False):
    """Put clips into one folder a class, such as ``1_one_male_voice``; the originals stay where they are.

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
    for clip, label in zip(clips, labels, strict=True):
        target = Path(folder) / f"{label}_{CLASSES[label].replace(' ', '_')}" / clip.name
        if target.exists():
            continue
        with replacing(target) as temporary:
            if link:
                temporary.symlink_to(clip.resolve())
            else:
                shutil.copyfile(clip, temporary)


def mp3s_below(folder):
    """Every MP3 below a folder, whatever its name.

    Returns
    -------
    list of Path

    Raises
    ------
    KitError
        If there is none.
    """
    found = sorted(path for path in Path(folder).rglob("*.mp3") if not path.name.startswith("."))
    if not found:
        raise KitError(f"no MP3s found below {folder}.")
    return found


def clips_in(folder):
    """The clips of one folder by id.

    Returns
    -------
    dict
        int to Path, ascending.

    Raises
    ------
    KitError
        If there is none, a clip is not named by a number, or two clips have the same one.
    """
    folder = Path(folder)
    names = sorted(each.name for each in folder.glob("*.mp3")) if folder.is_dir() else []
    return _by_id(folder, [name for name in names if not name.startswith(".")])


def _walk(root):
    """Folders that hold numbered MP3s, with their MP3 names; and the label and sample files, by what they are."""
    folders, files = {}, defaultdict(list)
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        clips = sorted(name for name in names if name.endswith(".mp3") and not name.startswith("."))
        if any(Path(name).stem.isdecimal() for name in clips):
            folders[Path(folder)] = clips
        for name in sorted(names):
            match = re.fullmatch(r"(train|test)_labels?", Path(name).stem)
            if match and Path(name).suffix in LABEL_SUFFIXES:
                files[f"{match[1]}_label"].append(Path(folder, name))
            if name in _SAMPLE_NAMES:
                files["sample"].append(Path(folder, name))
    return folders, files


def _clips(folders, split, root):
    ours = [folder for folder in folders if _split_of(folder, root) == split]
    if not ours:
        raise KitError(
            f"no {split} clips found under {root}: looked for a folder with '{split}' in its name "
            "that holds 0.mp3, 1.mp3, …; give the folder that holds the competition's files."
        )
    if len(ours) > 1:
        raise KitError(f"more than one folder of {split} clips under {root}: {listed(ours)}; give one competition.")
    return _by_id(ours[0], folders[ours[0]])


def _split_of(folder, root):
    # The innermost name decides: a data set called "test-data" may well hold the train clips.
    for name in reversed(folder.relative_to(root.parent).parts):
        for split in ("train", "test"):
            if split in name.lower():
                return split
    return None


def _by_id(folder, names):
    clips = {}
    for name in names:
        stem = Path(name).stem
        if not stem.isdecimal():
            raise KitError(f"{folder / name} is not named by a number; a clip is called 7.mp3. Rename or remove it.")
        if int(stem) in clips:
            raise KitError(f"{clips[int(stem)]} and {folder / name} both claim id {int(stem)}; remove one.")
        clips[int(stem)] = folder / name
    if not clips:
        raise KitError(f"no clips found in {folder}: looked for 0.mp3, 1.mp3, ….")
    return dict(sorted(clips.items()))


def _refuse_gap(clips, split):
    missing = sorted(set(range(max(clips) + 1)) - set(clips))
    if missing:
        raise KitError(
            f"{clips[max(clips)].parent} has a gap: {len(clips)} {split} clips, ids up to {max(clips)}, "
            f"but no {listed(f'{i}.mp3' for i in missing)}. Labels go by id, so complete the folder first."
        )


def _agreed_labels(paths, clips, *, required_below=None):
    """Labels from all the files there are, which must agree; None where there are none and none are required."""
    if not paths:
        if required_below is None:
            return None
        raise KitError(f"no labels found under {required_below}: looked for train_label.txt, .npz or .csv.")
    labels = read_labels(paths[0])
    for other in paths[1:]:
        if not np.array_equal(labels, read_labels(other)):
            raise KitError(f"{paths[0]} and {other} hold different labels; remove the wrong one.")
    if len(labels) != len(clips):
        folder = next(iter(clips.values())).parent
        more = "fewer" if len(labels) < len(clips) else "more"
        raise KitError(
            f"{paths[0]} has {more} labels than there are clips: {len(labels)}, but {len(clips)} in {folder}."
        )
    return labels


def _test_ids(samples, test):
    if not samples:
        _refuse_gap(test, "test")
        return np.array(list(test))
    path = samples[0]
    ids = read_sample_ids(path)
    for other in samples[1:]:
        if not np.array_equal(ids, read_sample_ids(other)):
            raise KitError(f"{path} and {other} list different ids, or in another order; remove the wrong one.")
    if len(set(ids)) < len(ids):
        raise KitError(f"{path} lists id {pd.Series(ids)[pd.Series(ids).duplicated()].iloc[0]} twice.")
    no_clip, no_row = sorted(set(ids) - set(test)), sorted(set(test) - set(ids))
    if no_clip or no_row:
        folder = next(iter(test.values())).parent
        raise KitError(
            f"{path} does not match the test clips in {folder}: "
            + " and ".join(
                ([f"no clip for id {listed(no_clip)}"] if no_clip else [])
                + ([f"no row for clip {listed(no_row)}"] if no_row else [])
            ) + "."
        )
    return ids
