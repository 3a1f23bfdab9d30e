"""Scores of the ensemble: the logits of finished members, averaged, and how sure they are of each clip."""

from dataclasses import dataclass, replace

import numpy as np

from ..recipe import Recipe
from ..songs import folds
from ..training.members import finished_members, member_folder, shared_recipe
from ..utils.errors import KitError


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an ensemble says of the clips held out and of the test clips.

    Attributes
    ----------
    members : list of Path
        The folders of those that were averaged.
    recipe : Recipe
        The one they share; with members of several runs, that of the first.
    beside : tuple of Result
        Of the other runs whose members were averaged, too: see `together`.
    valid_logits : ndarray, shape (answers, clips held out, classes)
        From members that never saw the clip: see `members.held_out_logits`.
    valid_clips : ndarray, shape (clips held out,)
        Rows of the train clips.
    valid_labels : ndarray, shape (clips held out,)
    test_logits : ndarray, shape (members, test clips, classes)
    neighbours : float
        How far a clip's logits are moved towards the mean over its song.
    valid_songs : ndarray, shape (clips held out,)
    test_songs : ndarray, shape (test clips,)
        -1 where it is not known.
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

    @property
    def test_scores(self):
        """The ensemble's logits for every test clip: ndarray, shape (test clips, classes)."""
        return blend(average(self.test_logits), self.test_songs, share=self._share)

    @property
    def valid_scores(self):
        """The same for every clip held out, found in the same way: ndarray, shape (clips held out, classes)."""
        return blend(average(self.valid_logits), self.valid_songs, share=self._share)

    @property
    def _share(self):
        # Where the songs of the test clips are unknown, clips held out are not to be judged by theirs, either.
        return self.neighbours if (self.test_songs >= 0).any() else 0.0

    @property
    def predictions(self):
        """Category of every test clip, in the order of the submission: ndarray, shape (test clips,), int64."""
        return self.test_scores.argmax(axis=1)


def collect(folder, data, *, members=0, neighbours=0.0):
    """Gather the logits of the finished members.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    data : TrainingData
        What the members must have been trained on.
    members : int
        Average the first so many; 0 takes all that are finished.
    neighbours : float, 0 to 1
        How far to move a clip's logits towards the mean over the clips of its song; 0 takes each clip by itself.

    Returns
    -------
    Result

    Raises
    ------
    KitError
        If no member is finished, or they came from other data or from differing recipes.
    """
    finished = [i for i in finished_members(folder) if not members or i < members]
    recipe, trained_on = shared_recipe(folder, finished)
    if trained_on != data.fingerprint(recipe):
        raise KitError(
            f"the members in {folder} were trained on other clips, labels, features or songs than those given now; "
            "choose another output folder, or delete them to train anew."
        )
    held_out = [folds.split(data, recipe, i)[1] for i in finished]
    valid_logits, valid_clips = held_out_logits(folder, finished, held_out)
    return Result(
        members=[member_folder(folder, i) for i in finished],
        recipe=recipe,
        valid_logits=valid_logits,
        valid_clips=valid_clips,
        valid_labels=data.labels[valid_clips],
        test_logits=stack_test_logits(folder, finished, len(data.test.ids)),
        neighbours=neighbours,
        valid_songs=data.songs.of("train")["song"].to_numpy()[valid_clips],
        test_songs=data.songs.of("test")["song"].to_numpy(),
    )


def together(result, others):
    """One result of several, of the same clips: the mean over all their members.

    Parameters
    ----------
    result : Result
    others : sequence of Result

    Returns
    -------
    Result

    Raises
    ------
    KitError
        If the runs held out no clip in common.
    """
    if not others:
        return result
    clips = result.valid_clips
    for other in others:
        clips = np.intersect1d(clips, other.valid_clips)
    if not len(clips):
        raise KitError(
            "the runs to be averaged have held out no clip in common, so nothing can judge them together; "
            "train more members of each (--members)."
        )
    parts = [result, *others]
    return replace(
        result,
        members=[member for part in parts for member in part.members],
        beside=tuple(others),
        valid_logits=np.concatenate([part.valid_logits[:, np.isin(part.valid_clips, clips)] for part in parts]),
        valid_clips=clips,
        valid_labels=result.valid_labels[np.isin(result.valid_clips, clips)],
        valid_songs=result.valid_songs[np.isin(result.valid_clips, clips)],
        test_logits=np.concatenate([part.test_logits for part in parts]),
    )


def most_confident(logits):
    """The clip that each class wins by the widest margin.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)

    Returns
    -------
    list of int
        A row a class.
    """
    others = [np.delete(logits, label, axis=1).max(axis=1) for label in range(logits.shape[1])]
    return [int(np.argmax(logits[:, label] - best)) for label, best in enumerate(others)]


def average(logits):
    """The ensemble's logits: the mean over members, of the logits and not of probabilities, as published.

    Parameters
    ----------
    logits : ndarray, shape (members, clips, classes)

    Returns
    -------
    ndarray, shape (clips, classes), float64
    """
    return logits.mean(axis=0, dtype=np.float64)


def blend(logits, song, *, share):
    """Move each clip's logits towards the mean over its song.

    Parameters
    ----------
    logits : ndarray, shape (clips, classes)
    song : ndarray, shape (clips,), int
        Negative: unknown, and the clip keeps its logits.
    share : float, 0 to 1
        How far: 0 leaves all as it was, 1 gives every clip of a song the same answer.

    Returns
    -------
    ndarray, shape (clips, classes), float64
    """
    logits = np.asarray(logits, np.float64)
    _, which, clips = np.unique(song, return_inverse=True, return_counts=True)
    sums = np.zeros((len(clips), logits.shape[1]))
    np.add.at(sums, which, logits)
    means = (sums / clips[:, None])[which]
    return np.where((np.asarray(song) < 0)[:, None], logits, (1 - share) * logits + share * means)


def held_out_logits(folder, members, rows):
    """What members say of the clips that they never saw, the answers to a clip one behind the other.

    Parameters
    ----------
    folder : path-like
    members : sequence of int
    rows : sequence of ndarray of int
        The train clips held out from each member.

    Returns
    -------
    logits : ndarray, shape (answers, clips, classes), float32
        As many answers as every one of the clips has at least. Where all members share their clips that is one a
        member, with one fold a member it is one for all members of a round of folds.
    clips : ndarray, shape (clips,), int64
        Rows of the train clips that were held out from any of the members, ascending.

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size than the rows.
    """
    logits = [
        _read_logits(member_folder(folder, i) / "valid_logits.npy", len(held_out)) for i, held_out in zip(members, rows)
    ]
    answers = np.zeros(1 + max(each.max() for each in rows), np.int64)
    table = np.zeros((len(members), len(answers), logits[0].shape[1]), np.float32)
    for its, held_out in zip(logits, rows):
        table[answers[held_out], held_out] = its
        answers[held_out] += 1
    clips = np.flatnonzero(answers)
    return table[: answers[clips].min(), clips], clips


def stack_test_logits(folder, members, clips):
    """Test logits of several members: ndarray, shape (members, clips, classes), float32.

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size than so many clips.
    """
    return np.stack([_read_logits(member_folder(folder, i) / "test_logits.npy", clips) for i in members])


def _read_logits(path, clips):
    # Where the weights are, a lost or damaged result is no loss; on Kaggle they may be in an earlier output.
    advice = f"delete {path.with_name('done.json')} and run 03_train_ensemble again where the weights are: " \
             "the logits are made anew from them."
    try:
        logits = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise KitError(f"{path} cannot be read ({error}); {advice}") from error
    if logits.ndim != 2 or len(logits) != clips:
        raise KitError(f"{path} has shape {logits.shape}, but there are {clips} clips; {advice}")
    return logits
