"""The systems that the page asks: who sings, and which song it is."""

from pathlib import Path

import numpy as np

from ...audio import recordings
from ...data import competition, demo
from ...prediction.predictor import Predictor
from ...utils.errors import KitError
from ...utils.storage import read_json
from ..identify.answers import UNKNOWN
from ..identify.recogniser import WINDOW, Recogniser, conclude
from .answer import Answer

WHO_SINGS, WHICH_SONG = "Who sings?", "Which song is it?"
LIMITS = {"longest": 120.0, "largest": 20e6}    # seconds and bytes of a recording
_EXAMPLES = 1               # test clips per class


def open_systems(network, singers):
    """Question to a function that answers it: of the path of a recording, ``question`` and ``seconds``, to an Answer.

    Raises
    ------
    KitError
        If there is no system, or one of them cannot be loaded.
    """
    systems = {}
    if singers:
        systems[WHO_SINGS] = _singers(singers)
    if network:
        systems[WHICH_SONG] = _songs(network)
    if not systems:
        raise KitError("the page needs a trained song network (--network), a run (--singers), or both.")
    return systems


def _singers(folder):
    ensemble, notes = Predictor(folder), _notes(read_json(Path(folder, "report.json")) or {})

    def ask(path, **about):
        samples = recordings.load(path, **ensemble.wanted, **LIMITS, silent=True)  # silence is no voice
        probabilities = ensemble.probabilities(samples)
        title, _ = conclude(probabilities, ensemble.class_names)
        return Answer(
            title=title, names=ensemble.class_names, probabilities=probabilities, step=ensemble.STEP,
            window=ensemble.recipe.seconds, notes=notes, **about,
        )

    return ask


def _notes(report):
    """Sentences on what a run was trained on, and on its accuracy."""
    validation, notes = report.get("validation"), []
    if report.get("is_demo", demo.is_demo(report.get("data", ""))):
        notes.append("Trained on synthetic songs: the answer says little about real music.")
    if validation and validation["split"] == "songs":
        notes.append(f"Accuracy on clips of unseen songs: {validation['accuracy']:.0%}.")
    elif validation:
        notes.append(f"Validation accuracy: {validation['accuracy']:.0%}, on clips of songs that were partly in the "
                     "training set. On unseen songs it is lower.")
    return notes


def _songs(network):
    recogniser = Recogniser(network)
    window = WINDOW * recogniser.recipe.hop / recogniser.recipe.sample_rate

    def ask(path, **about):
        probabilities = recogniser.probabilities(recordings.load(path, **recogniser.wanted, **LIMITS))
        title, _ = recogniser.conclude(probabilities)
        notes = [f"No song has a probability of {recogniser.threshold:.0%} or more."] if title == UNKNOWN else []
        return Answer(
            title=title, names=recogniser.names, probabilities=probabilities, step=recogniser.step, window=window,
            notes=notes, **about,
        )

    return ask


def examples(folder):
    """Test clips of a run, caption to path: some of each class if their labels are known; none if the data are gone."""
    report = read_json(Path(folder, "report.json")) or {}
    try:
        data = competition.find(report.get("data") or Path(folder, "no data"))
    except KitError:
        return {}
    if data.test_labels is None:
        return {clip.name: clip for clip in data.test[: _EXAMPLES * len(data.classes)]}
    return {
        f"{name} ({data.test[i].name})": data.test[i]
        for label, name in enumerate(data.classes) for i in np.flatnonzero(data.test_labels == label)[:_EXAMPLES]
    }
