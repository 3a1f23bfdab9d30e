"""The report of a run: metrics, what they are based on, and notes on their limits."""

from dataclasses import replace

import numpy as np

from ..data import demo
from ..features.extraction import COMPUTED
from ..songs import folds
from ..utils.artifacts import read_record
from ..utils.storage import read_json
from ..vocals.clips import recorded_weights
from .evaluation import accuracy_by_size, evaluate, interval
from .scores import blend

_NEIGHBOURS = 0.5   # the share that the report evaluates if none is set


def summarise(result, workspace, data, *, wanted=0, test_labels=None):
    """Summarise a result as JSON values.

    Parameters
    ----------
    result : Result
    workspace : Workspace
    data : TrainingData
    wanted : int
        Number of networks that were requested; 0: as many as there are.
    test_labels : ndarray or None
        In the order of the submission, if they are known.

    Returns
    -------
    dict
        Among others ``validation`` and ``test`` (or None), as `evaluation.evaluate` gives them. ``validation`` also has
        ``split``, ``members_per_clip``, ``majority_accuracy`` (of the largest class for every clip), ``interval`` (None
        with a random split) and ``with_neighbours``: the accuracy with and without moving each clip towards the mean
        over its song.
    """
    members = [read_json(folder / "done.json") for folder in result.members]
    missing = max(0, wanted - sum(folder.parent == workspace.members for folder in result.members))
    faults = read_record(workspace.vocals / "clips.json")["faults"]
    validation, known = _validate(result, data), data.songs.known
    test = None if test_labels is None else evaluate(result.test_scores, test_labels, class_names=data.class_names)
    notes = _notes(result, data, validation["with_neighbours"], faults)
    if missing:
        notes.append(f"Only {wanted - missing} of {wanted} members are finished. Run again to train the others.")
    return {
        "data": str(workspace.data),
        "is_demo": demo.is_demo(workspace.data),
        "recipe": result.recipe.part("member"),
        "separator": result.recipe.separator,
        "weights": recorded_weights(workspace.vocals, result.recipe),
        "members": len(members),
        "members_wanted": len(members) + missing,
        "kinds": result.stack.kinds if result.stack else [],
        "accuracy_of_mean": result.stack.mean if result.stack else None,
        "beside": [{"recipe": part.recipe.part("member"), "members": len(part.members)} for part in result.beside],
        "clips": {"train": len(data.labels), "test": len(data.test.ids)},
        "features": {"train": data.train.source, "test": data.test.source},
        "songs": {
            "source": "inferred" if data.songs.is_inferred else "own table",
            "songs": int(known["song"].nunique()), "groups": int(known["group"].nunique()),
        },
        "bad_clips": {"left_out": faults["train"], "salvaged": faults["test"]},
        "validation": validation,
        # of one kind: several are not averaged, but weighted
        "validation_by_members":
            [] if result.stack else accuracy_by_size(result.valid_logits, result.valid_labels).to_dict("records"),
        "member_accuracies": [member["valid_accuracy"] for member in members],
        "neighbours": result.neighbours,
        "test": test,
        "predicted": np.bincount(result.predictions, minlength=data.classes).tolist(),
        "seconds_of_training": sum(member["seconds"] for member in members),
        "devices": sorted({f"{member['device']}, {member['precision']}" for member in members}),
        "versions": members[0]["versions"],
        "notes": notes,
    }


def headline(metrics):
    """The validation in one line: accuracy, clips, members per clip, and the interval if there is one.

    Parameters
    ----------
    metrics : dict
        ``validation`` of a report.
    """
    accuracy, clips, members = (metrics[name] for name in ("accuracy", "clips", "members_per_clip"))
    text = f"{accuracy:.4f} on {clips} validation clips, {members} member{'s'[: members > 1]} per clip"
    if bounds := metrics["interval"]:
        text += (f"; {bounds['level']:.0%} interval over {bounds['groups']} groups of songs: "
                 f"{bounds['low']:.3f} to {bounds['high']:.3f}")
    return text


def next_steps(result, workspace):
    """What could improve a result, or make its validation truer.

    Parameters
    ----------
    result : Result
    workspace : Workspace

    Returns
    -------
    list of str
        Sentences, what is worth most first.
    """
    recipe = result.recipe
    networks = sum(folder.parent == workspace.members for folder in result.members)
    has_classifiers = len(result.members) > networks
    steps = [
        (recipe.split == "random",
         "Keep songs apart, to learn the accuracy on other songs: the recipe best, or --set split=songs."),
        (recipe.separator == "none",
         "Train on vocals if the classes are about voices: leave separator=none out. In the competition vocals are "
         "worth about four points."),
        (not has_classifiers,
         "Add classifiers on pretrained networks, if the competition allows them: the recipe quick takes minutes."),
        (not networks, "Add networks of your own to the classifiers: the recipe best."),
        (0 < networks < (2 * recipe.folds if recipe.split == "songs" else 5),
         "Train more members (--members): an average is more accurate than one network."),
        (True, f"Listen to the mistakes above, and blend {workspace.test_scores.name} with other models; "
               f"{workspace.held_out.name} says with which weights."),
    ]
    return [sentence for applies, sentence in steps if applies]


def _validate(result, data):
    """Metrics of the validation."""
    scores, labels = result.valid_scores, result.valid_labels
    logits, share = replace(result, neighbours=0.0).valid_scores, result.neighbours or _NEIGHBOURS
    blended = blend(logits, result.valid_songs, share=share)
    accuracy, without = (float((predicted.argmax(axis=1) == labels).mean()) for predicted in (blended, logits))
    is_right, groups = scores.argmax(axis=1) == labels, data.songs.group[result.valid_clips]
    return {
        "split": result.recipe.split,
        "members_per_clip": len(result.valid_logits),
        **evaluate(scores, labels, class_names=data.class_names),
        "majority_accuracy": float(np.bincount(labels).max() / len(labels)),     # the largest class for every clip
        # With songs on both sides, the variation over songs says nothing about other songs.
        "interval": interval(is_right, groups) if result.recipe.split == "songs" else None,
        "with_neighbours": {"share": share, "accuracy": accuracy, "without": without},
    }


def _notes(result, data, with_neighbours, faults):
    """Sentences on what the result is based on and what limits it."""
    split, validated, clips = result.recipe.split, len(result.valid_clips), len(data.labels)
    left_out, salvaged = len(faults["train"]), len(faults["test"])
    is_imported = {data.train.source, data.test.source} != {COMPUTED}
    no_test_songs = (result.test_songs < 0).all()
    before, after = with_neighbours["without"], with_neighbours["accuracy"]
    beside = [f"{len(part.members)} of {part.members[0].parent.parent.name}" for part in result.beside]
    notes = [
        (split == "random", f"The validation set of {validated} clips was drawn at random: {folds.FLATTERS}"),
        (split == "songs", f"Validation is out-of-fold with songs kept apart: {validated} of {clips} train clips."),
        (split == "songs" and data.songs.caveat, data.songs.caveat),
        (result.neighbours and no_test_songs,
         f"neighbours={result.neighbours:g} has no effect: the songs of the test clips are unknown."),
        (result.neighbours and not no_test_songs,
         f"neighbours={result.neighbours:g} changed the validation accuracy from {before:.4f} to {after:.4f}."),
        (is_imported, f"Features were imported: train: {data.train.source}; test: {data.test.source}"),
        (not is_imported and result.recipe.separator == "none",
         "Vocals were not separated: the features are those of the mixture."),
        (left_out or salvaged, f"Bad clips: {left_out} train clips left out, {salvaged} test clips partly salvaged."),
        (result.stack, _on_kinds(result.stack)),
        (beside, f"Averaged with the members of other runs: {'; '.join(beside)}."),
    ]
    return [sentence for applies, sentence in notes if applies]


def _on_kinds(stack):
    if stack is None:
        return ""
    kinds = "; ".join(f"{part['kind']} {part['accuracy']:.4f} ({part['without']:.4f})" for part in stack.kinds)
    return (
        "Kinds of members are combined by a weight for each, fitted to the out-of-fold scores of other folds. Accuracy "
        f"of each kind alone (of the others without it): {kinds}. Their plain mean: {stack.mean:.4f}."
    )
