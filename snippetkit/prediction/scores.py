"""Scores of the ensemble: the logits of its finished members, out-of-fold and for the test set, and their average."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from ..recipe import Recipe
from ..songs import folds
from ..training.members import finished_members, member_folder, report_ignored, shared_recipe
from ..utils.errors import KitError


@dataclass(frozen=True, kw_only=True)
class Result:
    """Logits of an ensemble: out-of-fold for train clips, and for the test clips.

    Attributes
    ----------
    members : list of Path
        Folders of the averaged members.
    recipe : Recipe
        Shared by the members; with several runs, that of the first.
    beside : tuple of Result
        Results of the other runs that are averaged, too: see `together`.
    stack : stacking.Stack or None
        How several kinds of members are combined; None: the logits are averaged.
    valid_logits : ndarray, shape (predictions, validation clips, classes)
        Out-of-fold: a prediction comes from a member that did not train on the clip. See `held_out_logits`.
    valid_clips : ndarray, shape (validation clips,)
        Rows of the train clips.
    valid_labels : ndarray, shape (validation clips,)
    test_logits : ndarray, shape (members, test clips, classes)
    neighbours : float
        How far a clip's logits are moved towards the mean over its song, 0 to 1.
    valid_songs : ndarray, shape (validation clips,)
    test_songs : ndarray, shape (test clips,)
        -1 if the song is unknown.
    """

    members: list
    recipe: Recipe
    valid_logits: np.ndarray
    valid_clips: np.ndarray
    valid_labels: np.ndarray
    test_logits: np.ndarray
    neighbours: float
    valid_songs: np.ndarray
    test_songs: np.ndarray
    beside: tuple = ()
    stack: object = None

    @property
    def test_scores(self):
        """Combined logits of the test clips: ndarray, shape (test clips, classes)."""
        scores = average(self.test_logits) if self.stack is None else self.stack.test_scores
        return blend(scores, self.test_songs, share=self._share)

    @property
    def valid_scores(self):
        """Combined out-of-fold logits, computed in the same way: ndarray, shape (validation clips, classes)."""
        scores = average(self.valid_logits) if self.stack is None else self.stack.valid_scores
        return blend(scores, self.valid_songs, share=self._share)

    @property
    def _share(self):
        # If the songs of the test clips are unknown, the validation must not use songs, either.
        return self.neighbours if (self.test_songs >= 0).any() else 0.0

    @property
    def predictions(self):
        """Predicted class of every test clip, in the order of the submission: ndarray, shape (test clips,), int64."""
        return self.test_scores.argmax(axis=1)


def collect(folder, data, *, members=0, neighbours=0.0):
    """Read the logits of the finished members.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    data : TrainingData
        The data that the members must have been trained on.
    members : int
        Use only the first so many; 0: all finished ones.
    neighbours : float, 0 to 1
        How far to move a clip's logits towards the mean over its song.

    Returns
    -------
    Result

    Raises
    ------
    KitError
        If no member is finished, or they were trained on other data or with different recipes.
    """
    report_ignored(folder)
    finished = [i for i in finished_members(folder) if not members or i < members]
    recipe, training_data = shared_recipe(folder, finished)
    if training_data != data.fingerprint(recipe):
        advice = "Choose another output folder, or delete them to train again."
        raise KitError(f"the members in {folder} were trained on other clips, labels, features or songs. {advice}")
    valid_logits, clips = held_out_logits(folder, finished, [folds.split(data, recipe, i)[1] for i in finished])
    train_songs, test_songs = (data.songs.of(split)["song"].to_numpy() for split in ("train", "test"))
    test_logits = np.stack([_read_logits(folder, i, "test", len(data.test.ids)) for i in finished])
    return Result(
        members=[member_folder(folder, i) for i in finished], recipe=recipe, neighbours=neighbours,
        valid_logits=valid_logits, valid_clips=clips, valid_labels=data.labels[clips], valid_songs=train_songs[clips],
        test_logits=test_logits, test_songs=test_songs,
    )


def together(result, others):
    """Join the results of several runs over the same clips, so that all members are averaged.

    Parameters
    ----------
    result : Result
    others : sequence of Result

    Returns
    -------
    Result
        With the validation clips that all runs have in common.

    Raises
    ------
    KitError
        If no clip is in the validation sets of all runs.
    """
    if not others:
        return result
    parts = [result, *others]
    clips = functools.reduce(np.intersect1d, [part.valid_clips for part in parts])
    if not len(clips):
        advice = "Train more members of each (--members)."
        raise KitError(f"the runs have no validation clip in common, so their average cannot be evaluated. {advice}")
    kept = [np.isin(part.valid_clips, clips) for part in parts]
    return replace(
        result, beside=tuple(others), members=[member for part in parts for member in part.members],
        valid_logits=np.concatenate([part.valid_logits[:, rows] for part, rows in zip(parts, kept)]),
        valid_clips=clips, valid_labels=result.valid_labels[kept[0]], valid_songs=result.valid_songs[kept[0]],
        test_logits=np.concatenate([part.test_logits for part in parts]),
    )


def held_out_logits(folder, members, rows):
    """Out-of-fold logits: those of each train clip from the members that did not train on it.

    Parameters
    ----------
    folder : path-like
    members : sequence of int
    rows : sequence of ndarray of int
        Validation set of each member.

    Returns
    -------
    logits : ndarray, shape (predictions, clips, classes), float32
        As many predictions as every clip has at least, in the order of the members: one per member if all members share
        a validation set, one per round of folds if every member has its own fold.
    clips : ndarray, shape (clips,), int64
        Rows of the train clips that are in any validation set, ascending.

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size.
    """
    logits = [_read_logits(folder, i, "valid", len(valid)) for i, valid in zip(members, rows)]
    counts = np.zeros(1 + max(valid.max() for valid in rows), np.int64)     # predictions of each clip so far
    table = np.zeros((len(members), len(counts), logits[0].shape[1]), np.float32)
    for predicted, valid in zip(logits, rows):
        table[counts[valid], valid] = predicted
        counts[valid] += 1
    clips = np.flatnonzero(counts)
    return table[: counts[clips].min(), clips], clips


def _read_logits(folder, member, split, clips):
    path = member_folder(folder, member) / f"{split}_logits.npy"
    # On Kaggle the weights may be in an earlier output.
    advice = f"Delete {path.with_name('done.json')} and run 03_train_ensemble where the weights are to make it again."
    try:
        logits = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise KitError(f"{path} cannot be read ({error}). {advice}") from error
    if logits.ndim != 2 or len(logits) != clips:
        raise KitError(f"{path} has shape {logits.shape}, but there are {clips} clips. {advice}")
    return logits


def average(logits):
    """The mean over members: of logits, not of probabilities, as published.

    Parameters
    ----------
    logits : ndarray, shape (members, clips, classes)

    Returns
    -------
    ndarray, shape (clips, classes), float64

    Examples
    --------
    >>> average(np.array([[[0.0, 1.0]], [[4.0, 1.0]]]))
    array([[2., 1.]])
    """
    return logits.mean(axis=0, dtype=np.float64)


def blend(logits, song, *, share):
    """Move each clip's logits towards the mean over its song.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)
    song : ndarray, shape (clips,), int
        Negative if unknown; the clip then keeps its logits.
    share : float, 0 to 1
        0 changes nothing, 1 gives all clips of a song the same logits.

    Returns
    -------
    ndarray, shape (clips, classes), float64

    Examples
    --------
    >>> blend([[0.0, 1.0], [4.0, 1.0]], [7, 7], share=1).tolist()
    [[2.0, 1.0], [2.0, 1.0]]
    """
    logits = np.asarray(logits, np.float64)
    _, which, clips = np.unique(song, return_inverse=True, return_counts=True)
    sums = np.zeros((len(clips), logits.shape[1]))
    np.add.at(sums, which, logits)
    means = (sums / clips[:, None])[which]
    return np.where((np.asarray(song) < 0)[:, None], logits, (1 - share) * logits + share * means)


def worst_mistakes(logits, labels, *, count=4):
    """The clips whose label is beaten by the widest margin.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)
    labels : ndarray, shape (clips,), int
    count : int

    Returns
    -------
    list of int
        Rows, the worst first; fewer than `count` if there are fewer mistakes.

    Examples
    --------
    >>> worst_mistakes(np.array([[5.0, 4.0], [1.0, 3.0], [0.0, 9.0]]), np.array([0, 0, 0]))
    [2, 1]
    """
    margins = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    return [int(row) for row in np.argsort(-margins, kind="stable")[:count] if margins[row] > 0]


def most_confident(logits):
    """The clip that each class wins by the widest margin over the second class.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)

    Returns
    -------
    list of int
        Row of the clip, one per class; none if there are no clips.

    Examples
    --------
    >>> most_confident(np.array([[5.0, 4.0], [1.0, 3.0], [2.0, 0.0]]))
    [2, 1]
    """
    if not len(logits):
        return []
    others = [np.delete(logits, label, axis=1).max(axis=1) for label in range(logits.shape[1])]
    return [int(np.argmax(logits[:, label] - best)) for label, best in enumerate(others)]
