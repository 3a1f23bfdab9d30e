"""The report of a run: metrics, what they are based on, and notes on their limits."""

import numpy as np

from ..data.labels import CLASSES
from ..features.extraction import COMPUTED
from ..songs import folds
from ..utils.artifacts import read_record
from ..utils.storage import read_json
from ..vocals.clips import recorded_weights
from .evaluation import accuracy_by_size, evaluate, interval
from .scores import average, blend

_SPLIT_NOTES = {
    "random": "The validation set of {} clips was drawn at random: " + folds.FLATTERS,
    "songs": "Validation is out-of-fold with songs kept apart: {} of {} train clips.",
}
_NEIGHBOURS = 0.5   # the share that the report evaluates if none is set


def summarise(result, workspace, data, *, wanted=0, test_labels=None):
    """Everything worth knowing about a result, as JSON values.

    Parameters
    ----------
    result : Result
    workspace : Workspace
    data : TrainingData
    wanted : int
        Number of members that were requested; 0: as many as there are.
    test_labels : ndarray or None
        In the order of the submission, if they are known.

    Returns
    -------
    dict
        Among others ``validation`` and ``test`` (or None), as `evaluation.evaluate` gives them.
    """
    done = [read_json(folder / "done.json") for folder in result.members]
    missing = max(0, wanted - sum(folder.parent == workspace.members for folder in result.members))
    faults = read_record(workspace.vocals / "clips.json")["faults"]
    notes = [_SPLIT_NOTES[result.recipe.split].format(len(result.valid_clips), len(data.labels))]
    validation = _validated(result, data)
    about_songs, about = _about_songs(data.songs, result, validation["with_neighbours"])
    notes += about
    sources = {"train": data.train.source, "test": data.test.source}
    if set(sources.values()) != {COMPUTED}:
        notes.append("Features were imported: " + "; ".join(f"{name}: {how}" for name, how in sources.items()))
    elif result.recipe.separator == "none":
        notes.append("Vocals were not separated: the features are those of the mixture.")
    if faults["train"] or faults["test"]:
        left_out, salvaged = len(faults["train"]), len(faults["test"])
        notes.append(f"Bad clips: {left_out} train clips left out, {salvaged} test clips partly salvaged.")
    if result.beside:
        runs = "; ".join(f"{len(part.members)} of {part.members[0].parent.parent.name}" for part in result.beside)
        notes.append(f"Averaged with the members of other runs: {runs}.")
    if missing:
        notes.append(f"Only {wanted - missing} of {wanted} members are finished. Run again to train the others.")
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


def headline(metrics):
    """The validation in one line: accuracy, clips, members per clip, and the interval if there is one.

    Parameters
    ----------
    metrics : dict
        ``validation`` of a report.
    """
    members = metrics["answers"]
    text = f"{metrics['accuracy']:.4f} on {metrics['clips']} validation clips"
    text += f", {members} member{'s'[: members > 1]} per clip"
    if bounds := metrics["interval"]:
        text += (f"; {bounds['level']:.0%} interval over {bounds['groups']} groups of songs: "
                 f"{bounds['low']:.3f} to {bounds['high']:.3f}")
    return text


def _validated(result, data):
    """Metrics of the validation, with an interval if songs are kept apart."""
    logits, labels = result.valid_scores, result.valid_labels
    metrics = {
        "split": result.recipe.split,
        "answers": len(result.valid_logits),
        **evaluate(logits, labels, class_names=CLASSES),
        "interval": None,
        "with_neighbours": _worth_of_neighbours(result),
    }
    # With songs on both sides, the variation over songs says nothing about other songs.
    if result.recipe.split == "songs":
        metrics["interval"] = interval(logits.argmax(axis=1) == labels, data.songs.group[result.valid_clips])
    return metrics


def _worth_of_neighbours(result):
    """Validation accuracy with and without moving each clip towards the mean over its song."""
    logits, labels = average(result.valid_logits), result.valid_labels
    share = result.neighbours or _NEIGHBOURS
    blended = blend(logits, result.valid_songs, share=share)
    without, accuracy = (float((scores.argmax(axis=1) == labels).mean()) for scores in (logits, blended))
    return {"share": share, "accuracy": accuracy, "without": without}


def _about_songs(songs, result, worth):
    """The part of the report on songs, and its notes."""
    part = {
        "source": "inferred" if songs.is_inferred else "own table",
        "songs": int(songs.known["song"].nunique()), "groups": int(songs.known["group"].nunique()),
    }
    notes = [songs.caveat] if songs.caveat and result.recipe.split == "songs" else []
    if result.neighbours and (result.test_songs < 0).all():
        notes.append(f"neighbours={result.neighbours:g} has no effect: the songs of the test clips are unknown.")
    elif result.neighbours:
        notes.append(f"neighbours={result.neighbours:g} changed the validation accuracy from {worth['without']:.4f} to "
                     f"{worth['accuracy']:.4f}.")
    return part, notes
