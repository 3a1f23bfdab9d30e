"""Find and check the files of a competition: clips, labels and the sample submission; or data in a layout of your own.

Copies of the data nest their folders differently, so files are searched for below a root folder. Nothing here decodes
audio.
"""

import filecmp
import os
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ..utils.errors import KitError, listed, report_os_error
from ..utils.folders import files_in, walk
from ..utils.progress import say
from ..utils.storage import replacing
from .labels import CLASSES, LABEL_SUFFIXES, read_consistent, read_labels
from .own import read_own
from .submission import read_sample_ids

# Letter case does not count in names.
_SAMPLE_NAME = re.compile(r"(example|sample)_?submission\.csv", re.IGNORECASE)
_LABEL_NAME = re.compile(r"(train|test)_labels?", re.IGNORECASE)
# 'train' or 'test' as a word of its own, or with what folders of clips are called: 'test_mp3s', 'trainset', 'MyTest'.
_SPLIT_NAME = re.compile(
    r"(?<![^\W\d_])(train|test)(ing)?(set|split|data|clip|mp3|song|snippet|vocal|audio|sound|file|folder)?s?(?![^\W\d_])"
)


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
    classes : tuple of str
        Names of the classes; a label is the number of one.
    names : dict or None
        'train' and 'test' to the path of each clip below `root`, for data that are not numbered as the competition's.
    """

    root: Path
    train: tuple
    labels: np.ndarray
    test: tuple
    test_ids: np.ndarray
    test_labels: np.ndarray | None
    classes: tuple = CLASSES
    names: dict | None = None

    def name_files(self, split, table):
        """The table with a column ``file`` after ``id``, if the clips of a split are not known by their numbers."""
        if not self.names:
            return table
        table = table.copy()
        table.insert(1, "file", [self.names[split][i] for i in table["id"]])
        return table


def find(root):
    """Find and check the files of a competition below `root`, or data that are laid out as `own.read_own` says.

    Returns
    -------
    Competition

    Raises
    ------
    KitError
        If clips, labels or test clips are missing, occur twice, or contradict each other; the message names the file.
    """
    root = Path(root)
    with report_os_error(f"the data folder {root} cannot be read"):
        if not root.is_dir():
            raise KitError(f"there is no data folder {root}. Give the folder that holds the competition's files.")
    folders, files, unreadable = _search(root)
    if not files["train_label"] and (own := read_own(root, _split_named)):
        return Competition(root=root, **own)
    train, test = (_split_clips(folders[split], split, root, unreadable) for split in ("train", "test"))
    _require_no_gap(train, "train")
    labels = _consistent_labels(files["train_label"], train)
    if labels is None:
        raise KitError(f"no labels found under {root}: looked for train_label.txt, .npz or .csv.{unreadable}")
    if files["test_label"] or not files["sample"]:
        _require_no_gap(test, "test")
    test_ids = _sample_ids(files["sample"], test) if files["sample"] else np.array(list(test))
    test_labels = _consistent_labels(files["test_label"], test)
    if unreadable:
        say(unreadable.strip())
    return Competition(
        root=root, train=tuple(train.values()), labels=labels, test=tuple(test[i] for i in test_ids), test_ids=test_ids,
        # label files are in the order of the ids, test clips in the order of the submission
        test_labels=None if test_labels is None else test_labels[test_ids],
    )


def sort_clips(clips, labels, folder, *, classes=CLASSES, link=False):
    """Copy clips into one folder per class, such as ``1_one_male_voice``; their copies in other classes are removed.

    Parameters
    ----------
    clips : sequence of Path
    labels : ndarray, shape (len(clips),), int
    folder : path-like
    classes : sequence of str
    link : bool
        Link to the clips instead of copying them.

    Raises
    ------
    KitError
        If a file cannot be written, linked or removed, or a file of a clip's name is not a copy of it.
    """
    places = [Path(folder, f"{label}_{name.replace(' ', '_')}") for label, name in enumerate(classes)]
    copies = {clip: [path for place in places if os.path.lexists(path := place / clip.name)] for clip in clips}
    with report_os_error(f"{folder} cannot be sorted"):
        for clip, path in ((clip, path) for clip, paths in copies.items() for path in paths):
            if not path.is_symlink() and not filecmp.cmp(clip, path, shallow=False):
                raise KitError(f"{path} is not a copy of {clip}. Remove it, or choose another folder.")
        for clip, label in zip(clips, labels, strict=True):
            target = places[label] / clip.name
            _place(clip, target, link)
            for path in set(copies[clip]) - {target}:
                path.unlink()


def _place(clip, target, link):
    if not (target.exists() and target.is_symlink() == link and (not link or target.samefile(clip))):
        with replacing(target) as temporary:
            (os.symlink if link else shutil.copyfile)(clip.resolve(), temporary)


def mp3s_below(folder):
    """List every MP3 below a folder, under any name.

    Returns
    -------
    list of Path

    Raises
    ------
    KitError
        If there is none, or a folder cannot be read.
    """
    clips = sorted(path for _, files in walk(folder) for path in files if _is_mp3(path))
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
        If there is none, the folder cannot be read, the name of a clip is not a number, or two have the same number.
    """
    clips = {}
    for path in filter(_is_mp3, files_in(folder)):
        if not path.stem.isdecimal():
            raise KitError(f"{path} is not named by a number, such as 7.mp3. Rename or remove it.")
        if other := clips.get(int(path.stem)):
            raise KitError(f"{other} and {path} have the same id, {int(path.stem)}. Remove one of them.")
        clips[int(path.stem)] = path
    if not clips:
        raise KitError(f"no clips found in {folder}: looked for 0.mp3, 1.mp3, ….")
    return dict(sorted(clips.items()))


def _is_mp3(path):
    return path.suffix.lower() == ".mp3"


def _search(root):
    """Folders of numbered MP3s by split; label and sample files by kind; a sentence on folders that were skipped."""
    folders, files, errors = defaultdict(list), defaultdict(list), []
    # A folder may be called 'train' by a link only, so paths of different splits count as different folders.
    for folder, paths in walk(root, key=partial(_split_of, root=root), on_error=errors.append):
        if any(_is_mp3(path) and path.stem.isdecimal() for path in paths):
            folders[_split_of(folder, root)].append(folder)
        for path in paths:
            if (match := _LABEL_NAME.fullmatch(path.stem)) and path.suffix.lower() in LABEL_SUFFIXES:
                files[f"{match[1].lower()}_label"].append(path)
            if _SAMPLE_NAME.fullmatch(path.name):
                files["sample"].append(path)
    unreadable = listed(f"{error.filename} ({error.strerror})" for error in errors)
    return folders, files, f" Folders that cannot be read were skipped: {unreadable}." if errors else ""


def _split_clips(candidates, split, root, unreadable):
    """The clips of a split by id."""
    if not candidates:
        raise KitError(
            f"no {split} clips found under {root}: looked for a folder with '{split}' in its name that holds 0.mp3, "
            "1.mp3, …. Give the folder that holds the competition's files; for data of your own, one that holds a "
            "folder for each class, two or more, or a CSV with the columns file,label. To classify sound with a "
            f"finished run: python -m snippetkit predict RUN {root}{unreadable and '.' + unreadable}"
        )
    if len(candidates) > 1:
        raise KitError(f"more than one folder of {split} clips under {root}: {listed(candidates)}. Keep one of them.")
    return clips_in(candidates[0])


def _split_of(folder, root):
    # The innermost name counts: a dataset called "test-data" may hold the train clips.
    return next(filter(None, map(_split_named, reversed(folder.relative_to(root.parent).parts))), None)


def _split_named(name):
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    splits = {match[1] for match in _SPLIT_NAME.finditer(words)}
    return max(splits, default=None)    # of 'train' and 'test', train


def _folder_of(clips):
    return next(iter(clips.values())).parent


def _require_no_gap(clips, split):
    if missing := max(clips) + 1 - len(clips):
        first = islice((i for i in range(max(clips)) if i not in clips), 5)
        raise KitError(
            f"{_folder_of(clips)} has a gap: {len(clips)} {split} clips with ids up to {max(clips)}, but no "
            f"{listed(f'{i}.mp3' for i in first)} ({missing} missing). Labels are assigned by id, so add the missing "
            "clips first, or rename the clip whose number is too high."
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
