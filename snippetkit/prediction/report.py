"""What the members' answers are worth: a report in figures, for people and for comparisons."""

import numpy as np

from ..data.labels import CLASSES
from ..features.extraction import COMPUTED
from ..songs import folds
from ..utils.artifacts import read_record
from ..utils.storage import read_json
from ..vocals.clips import recorded_weights
from .evaluation import accuracy_by_size, evaluate, interval
from .scores import average, blend

_WHAT_WAS_HELD_OUT = {
    "random": "The {} clips held out were drawn at random: " + folds.FLATTERS,
    "songs": "Songs were kept apart: {} of {} train clips were judged by members that saw no clip of their groups.",
}
_NEIGHBOURS = 0.5   # the share at which the report says what a clip's song is worth


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
    done = [read_json(folder / "done.json") for folder in result.members]
    missing = max(0, wanted - sum(folder.parent == workspace.members for folder in result.members))
    faults = read_record(workspace.vocals / "clips.json")["faults"]
    notes = [_WHAT_WAS_HELD_OUT[result.recipe.split].format(len(result.valid_clips), len(data.labels))]
    validation = _validated(result, data)
    about_songs, about = _about_songs(data.songs, result, validation["with_neighbours"])
    notes += about
    sources = {"train": data.train.source, "test": data.test.source}
    if set(sources.values()) != {COMPUTED}:
        notes.append("Features were not computed here: " + "; ".join(f"{name}: {how}" for name, how in sources.items()))
    elif result.recipe.separator == "none":
        notes.append("Vocals were not separated: the features are those of the mixture.")
    if faults["train"] or faults["test"]:
        left_out, salvaged = len(faults["train"]), len(faults["test"])
        notes.append(f"Bad clips: {left_out} left out of training, {salvaged} predicted from what could be salvaged.")
    if result.beside:
        runs = "; ".join(f"{len(part.members)} of {part.members[0].parent.parent.name}" for part in result.beside)
        notes.append(f"Averaged with the members of other runs: {runs}.")
    if missing:
        notes.append(f"Only {wanted - missing} of {wanted} members are finished; run again to train the others.")
    return {
        "data": str(workspace.data),
        "recipe": result.recipe.part("member"),
        "separator": result.recipe.separator,
        "weights": recorded_weights(workspace.vocals, result.recipe),
        "members": len(done),
        "members_wanted": len(done) + missing,
        "beside": [{"recipe": part.recipe.part("member"), "members": len(part.members)} for part in result.beside],
        "clips": {"train": len(data.labels), "test": len(data.test.ids)},
        "features": sources,
        "songs": about_songs,
        "bad_clips": {"left_out": faults["train"], "salvaged": faults["test"]},
        "validation": validation,
        "validation_by_members": accuracy_by_size(result.valid_logits, result.valid_labels).to_dict("records"),
        "member_accuracies": [note["valid_accuracy"] for note in done],
        "neighbours": result.neighbours,
        "test": None if test_labels is None else evaluate(result.test_scores, test_labels, class_names=CLASSES),
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
        text += (f"; {around['level']:.0%} interval of the mean over {around['groups']} groups of songs "
                 f"{around['low']:.3f} to {around['high']:.3f}")
    return text


def _validated(result, data):
    """The figures of the clips held out, with an interval where members had not heard their songs."""
    logits, labels = result.valid_scores, result.valid_labels
    found = {
        "split": result.recipe.split,
        "answers": len(result.valid_logits),
        **evaluate(logits, labels, class_names=CLASSES),
        "interval": None,
        "with_neighbours": _worth_of_neighbours(result),
    }
    # Where songs were heard in training, the scatter over songs says nothing of other songs.
    if result.recipe.split == "songs":
        found["interval"] = interval(logits.argmax(axis=1) == labels, data.songs.group[result.valid_clips])
    return found


def _worth_of_neighbours(result):
    """Accuracy on the clips held out, each by itself and moved towards its song, whether that was asked for or not."""
    logits, labels = average(result.valid_logits), result.valid_labels
    share = result.neighbours or _NEIGHBOURS
    blended = blend(logits, result.valid_songs, share=share)
    without, accuracy = (float((each.argmax(axis=1) == labels).mean()) for each in (logits, blended))
    return {"share": share, "accuracy": accuracy, "without": without}


def _about_songs(songs, result, worth):
    """The songs' part of the report, and what a person should know of them."""
    part = {
        "source": "inferred" if songs.is_inferred else "own table",
        "songs": int(songs.known["song"].nunique()), "groups": int(songs.known["group"].nunique()),
    }
    notes = [songs.caveat] if songs.caveat and result.recipe.split == "songs" else []
    if result.neighbours and (result.test_songs < 0).all():
        notes.append(f"neighbours={result.neighbours:g} changed nothing: the songs of the test clips are not known.")
    elif result.neighbours:
        notes.append(f"neighbours={result.neighbours:g} moved the accuracy on the clips held out from "
                     f"{worth['without']:.4f} to {worth['accuracy']:.4f}.")
    return part, notes
