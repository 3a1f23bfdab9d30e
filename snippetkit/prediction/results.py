"""The last stage: the logits of the finished members, of one run or several, and the answers they average to."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..utils.errors import KitError
from ..training.members import (
    average,
    finished_members,
    held_out_logits,
    member_folder,
    shared_recipe,
    stack_test_logits,
)
from ..training.preparation import prepare
from ..recipe import Recipe
from ..songs import folds
from ..songs.neighbours import blend
from ..run.workspace import Workspace


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
    def answer(self):
        """The ensemble's logits for every test clip: ndarray, shape (test clips, classes)."""
        return blend(average(self.test_logits), self.test_songs, share=self._share)

    @property
    def held_out_answer(self):
        """The same for every clip held out, found in the same way: ndarray, shape (clips held out, classes)."""
        return blend(average(self.valid_logits), self.valid_songs, share=self._share)

    @property
    def _share(self):
        # Where the songs of the test clips are unknown, clips held out are not to be judged by theirs, either.
        return self.neighbours if (self.test_songs >= 0).any() else 0.0

    @property
    def predictions(self):
        """Category of every test clip, in the order of the submission: ndarray, shape (test clips,), int64."""
        return self.answer.argmax(axis=1)


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


def folders_named(beside):
    """The work folders in a parameter `beside`: a str with commas between them, to a list of str."""
    return [folder.strip() for folder in beside.split(",") if folder.strip()]


def runs_beside(members, recipe, folders):
    """Find the other runs to be averaged in, and refuse those whose notes alone say that they cannot be.

    Whether they are of the same clips, labels and songs shows only once those of this run are known.

    Parameters
    ----------
    members : path-like
        ``members`` in the work folder of this run; it need not exist yet.
    recipe : Recipe
        Of this run.
    folders : sequence of path-like
        Work folders of the others.

    Returns
    -------
    list of (Path, Recipe)
        Their absolute work folders, and what their finished members were trained by.

    Raises
    ------
    KitError
        If a folder is missing or has no finished member, one is named twice or is this run's own, or it holds out
        clips by another split.
    """
    folders = [Path(folder).resolve() for folder in folders]
    places = {Path(members).resolve(), *((folder / "members").resolve() for folder in folders)}
    if len(places) <= len(folders):
        raise KitError("--beside names a run twice, or this run itself; its members would count more than others.")
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise KitError(f"there is no work folder {folder} whose members could be averaged, too.")
        theirs, _ = shared_recipe(folder / "members", finished_members(folder / "members"))
        if theirs.split != recipe.split:
            raise KitError(
                f"the members in {folder} were trained with split={theirs.split}, those of this run with "
                f"split={recipe.split}: what the one held out the other may have heard."
            )
        found.append((folder, theirs))
    return found


def collect_beside(result, data, folders, competition, *, on_bad="fail"):
    """Average all finished members of other runs, too: members that differ in their features err on different clips.

    Parameters
    ----------
    result : Result
    data : TrainingData
        What `result` is of.
    folders : sequence of path-like
        Work folders of other runs over the same clips, with any features and any recipe, but the same split.
    competition : Competition
    on_bad : str
        As in `prepare`.

    Returns
    -------
    Result
        Clips held out are those that every run held out.

    Raises
    ------
    KitError
        As `runs_beside`, `collect` and `prepare` do; and if a run is of other clips, labels or songs.
    """
    others = []
    for folder, recipe in runs_beside(result.members[0].parent, result.recipe, folders):
        other = Workspace(data=competition.root, folder=folder)
        its_data = prepare(competition, other, recipe, on_bad=on_bad)
        if not _same_clips(data, its_data):
            raise KitError(f"the members in {folder} are of other clips, labels or songs; they cannot be averaged.")
        others.append(collect(other.members, its_data))
    return together(result, others)


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


def _same_clips(data, other):
    one, two = (
        [each.train.ids.tolist(), each.test.ids.tolist(), each.labels.tolist(), each.songs.group.tolist()]
        for each in (data, other)
    )
    return one == two


def surest(logits):
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
