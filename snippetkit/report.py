"""The last stage: from the members' logits to the submission and a report that says what they are worth."""

from dataclasses import dataclass

import numpy as np

from .errors import KitError
from .evaluation import accuracy_by_size, evaluate, interval
from .features import COMPUTED
from .labels import CLASSES
from .members import (
    average,
    finished_members,
    held_out_logits,
    member_folder,
    shared_recipe,
    stack_test_logits,
)
from .recipe import Recipe
from .songs import folds
from .songs.neighbours import blend
from .storage import read_json

_WHAT_WAS_HELD_OUT = {
    "random": "The {} clips held out were drawn at random: " + folds.FLATTERS,
    "songs": "Songs were kept apart: {} of {} train clips were judged by members that saw no clip of their songs.",
}
_NEIGHBOURS = 0.5   # the share at which the report says what a clip's song is worth


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an ensemble says of the clips held out and of the test clips.

    Attributes
    ----------
    members : list of int
        Those that were averaged.
    recipe : Recipe
        The one they share.
    valid_logits : ndarray, shape (answers, clips held out, classes)
        From members that never saw the clip: see `members.held_out_logits`.
    valid_clips : ndarray, shape (clips held out,)
        Rows of the train clips.
    valid_labels : ndarray, shape (clips held out,)
    test_logits : ndarray, shape (members, test clips, classes)
    neighbours : float
        How far a test clip's logits were moved towards the mean over its song.
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
    test_songs: np.ndarray

    @property
    def answer(self):
        """The ensemble's logits for every test clip: ndarray, shape (test clips, classes)."""
        logits = average(self.test_logits)
        return blend(logits, self.test_songs, share=self.neighbours) if self.neighbours else logits

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
        How far to move a test clip's logits towards the mean over the clips of its song; 0 takes each clip by itself.

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
        members=finished,
        recipe=recipe,
        valid_logits=valid_logits,
        valid_clips=valid_clips,
        valid_labels=data.labels[valid_clips],
        test_logits=stack_test_logits(folder, finished, len(data.test.ids)),
        neighbours=neighbours,
        test_songs=data.songs.of("test")["song"].to_numpy(),
    )


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


def summarise(result, workspace, data, *, wanted=0, test_labels=None):
    """All that there is to say about a result, ready to be written as JSON.

    Parameters
    ----------
    result : Result
    workspace : Workspace
    data : TrainingData
    wanted : int
        Members that were asked for; 0 is as many as there are.
    test_labels : ndarray or None
        In the order of the submission, where they are known.

    Returns
    -------
    dict
        Among others ``validation`` and ``test`` (or None), as `evaluation.evaluate` gives them.
    """
    done = [read_json(member_folder(workspace.members, i) / "done.json") for i in result.members]
    faults = read_json(workspace.vocals / "clips.json")["faults"]
    notes = [_WHAT_WAS_HELD_OUT[result.recipe.split].format(len(result.valid_clips), len(data.labels))]
    about_songs, about = _about_songs(data.songs, result)
    notes += about
    sources = {"train": data.train.source, "test": data.test.source}
    if set(sources.values()) != {COMPUTED}:
        notes.append("Features were not computed here: " + "; ".join(f"{name}: {how}" for name, how in sources.items()))
    elif result.recipe.separator == "none":
        notes.append("Vocals were not separated: the features are those of the mixture.")
    if faults["train"] or faults["test"]:
        left_out, salvaged = len(faults["train"]), len(faults["test"])
        notes.append(f"Bad clips: {left_out} left out of training, {salvaged} predicted from what could be salvaged.")
    if len(done) < wanted:
        notes.append(f"Only {len(done)} of {wanted} members are finished; run again to train the others.")
    return {
        "data": str(workspace.data),
        "recipe": result.recipe.part("member"),
        "separator": result.recipe.separator,
        "weights": (read_json(workspace.vocals / "separation.json") or {}).get("weights"),
        "members": len(done),
        "members_wanted": max(wanted, len(done)),
        "clips": {"train": len(data.labels), "test": len(data.test.ids)},
        "features": sources,
        "songs": about_songs,
        "bad_clips": {"left_out": faults["train"], "salvaged": faults["test"]},
        "validation": _validated(result, data),
        "validation_by_members": accuracy_by_size(result.valid_logits, result.valid_labels).to_dict("records"),
        "member_accuracies": [note["valid_accuracy"] for note in done],
        "neighbours": result.neighbours,
        "test": None if test_labels is None else evaluate(result.answer, test_labels, class_names=CLASSES),
        "predicted": np.bincount(result.predictions, minlength=len(CLASSES)).tolist(),
        "seconds_of_training": sum(note["seconds"] for note in done),
        "devices": sorted({f"{note['device']}, {note['precision']}" for note in done}),
        "versions": done[0]["versions"],
        "notes": notes,
    }


def headline(figures):
    """The validation in a line: accuracy, clips, who judged them, and the interval where there is one.

    Parameters
    ----------
    figures : dict
        ``validation`` of a report.
    """
    answers = figures["answers"]
    text = f"{figures['accuracy']:.4f} on {figures['clips']} clips held out"
    text += f", each judged by {answers} member{'s'[: answers > 1]}"
    if around := figures["interval"]:
        text += (f"; on other songs, {around['level']:.0%} of the time between {around['low']:.3f} and "
                 f"{around['high']:.3f} ({around['groups']} groups)")
    return text


def _validated(result, data):
    """The figures of the clips held out, with an interval, and with what their songs would add."""
    logits, labels = average(result.valid_logits), result.valid_labels
    train = data.songs.of("train").iloc[result.valid_clips]
    is_right = logits.argmax(axis=1) == labels
    share = result.neighbours or _NEIGHBOURS
    blended = blend(logits, train["song"].to_numpy(), share=share)
    return {
        "split": result.recipe.split,
        "answers": len(result.valid_logits),
        **evaluate(logits, labels, class_names=CLASSES),
        # Where songs were heard in training, the scatter over songs says nothing of other songs.
        "interval": interval(is_right, train["group"].to_numpy()) if result.recipe.split == "songs" else None,
        "with_neighbours": {"share": share, "accuracy": float((blended.argmax(axis=1) == labels).mean())},
    }


def _about_songs(songs, result):
    """The songs' part of the report, and what a person should know of them."""
    part = {
        "source": "inferred" if songs.is_inferred else "own table",
        "songs": int(songs.known["song"].nunique()), "groups": int(songs.known["group"].nunique()),
    }
    notes = [songs.caveat] if songs.caveat and result.recipe.split == "songs" else []
    if result.neighbours and (result.test_songs < 0).all():
        notes.append(f"neighbours={result.neighbours:g} changed nothing: the songs of the test clips are not known.")
    return part, notes
