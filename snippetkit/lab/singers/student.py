"""A student of a finished run, small enough for a phone: one network on log-mel features, which needs no separation.

It learns what the run predicted out-of-fold for each train clip: a run's members know the labels of the clips that they
were trained on, so their predictions for those say little more than the labels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ...data.competition import find
from ...prediction.evaluation import compare_runs, interval, out_of_fold_table, read_out_of_fold
from ...prediction.scores import collect
from ...recipe import LIGHT_TRAINING, Recipe
from ...run.workspace import open_workspace
from ...songs import folds
from ...training.data import TrainingData, prepare
from ...utils.artifacts import digest
from ...utils.clock import Clock
from ...utils.errors import KitError
from ...utils.hardware import find_devices
from ...utils.storage import read_json, write_table
from ..methods import load_networks, train_all
from .compress import compare_versions, make_versions

_CALIBRATION, _TIMED = 64, 256      # clips for the ranges of 8-bit activations, and for the table of versions


@dataclass(frozen=True, kw_only=True)
class StudentData(TrainingData):
    """Training data whose targets are a run's out-of-fold predictions and the labels.

    Attributes
    ----------
    lessons : ndarray, shape (rows of train, classes), float32
        Probabilities.
    share : float, 0 to 1
        Weight of the lessons in a target; the rest is the label.
    """

    lessons: np.ndarray
    share: float = 0.7

    def fingerprint(self, recipe):
        return digest([super().fingerprint(recipe), self.lessons.round(4).tolist(), self.share])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with probabilities as targets of the training set."""
        train, valid, test = super().datasets(recipe, member, device)
        rows, _ = folds.split(self, recipe, member)
        lessons = torch.from_numpy(self.lessons[rows]).to(device.name)
        labels = torch.nn.functional.one_hot(train.labels, self.classes).float()
        train.labels = self.share * lessons + (1 - self.share) * labels
        return train, valid, test


def student_recipe(model, epochs, folds):
    """The recipe of a student: `recipe.LIGHT_TRAINING` on log-mel features of the mixture, a network per fold."""
    own = {"split": "songs", "separator": "none", "model": model, "epochs": epochs, "members": folds, "folds": folds}
    return Recipe(**LIGHT_TRAINING | own)


def train(run, out, recipe, *, data="", share=0.7, clock=None):
    """Train students of a finished run, one per fold, and write smaller versions of the first one.

    Parameters
    ----------
    run : path-like
        Work folder of a finished run with ``split=songs``.
    out : path-like
        Work folder of the students. Gets ``held_out.csv``, and in ``student`` ``network.onnx``, ``network_int8.onnx``
        and ``versions.csv``.
    recipe : Recipe
        As from `student_recipe`.
    data : path-like
        The clips of the run; empty: where the run found them.
    share : float
        As in `StudentData`.
    clock : Clock or None

    Returns
    -------
    dict
        ``accuracy`` of the students and ``teacher``, that of the run, on the same clips out-of-fold; ``interval`` of
        the student, and ``difference`` with its interval, in dicts of ``low`` and ``high``.
    versions : DataFrame
        As from `compress.compare_versions`, on clips that the first student held out.

    Raises
    ------
    KitError
        If the run is not finished, has a random split, or lacks predictions of clips or songs as they are found now; if
        its clips are gone; if the time is over.
    """
    table = read_out_of_fold(run)
    report = read_json(Path(run) / "report.json") or {}
    if table["split"][0] == "random":
        raise KitError(f"{run} has a random split, so its predictions are too good to learn from. Use split=songs.")
    workspace = open_workspace(data or report.get("data", ""), out)
    training = prepare(find(workspace.data), workspace, recipe)
    students = _students(training, run, share)
    device = find_devices(recipe.precision)[0]
    train_all(workspace.members, recipe, students, device=device, clock=clock or Clock())
    own = out_of_fold_table(collect(workspace.members, students), training)
    write_table(workspace.held_out, own)
    versions = _write_versions(workspace, recipe, students, device)
    both = compare_runs(own, table)
    is_right = (own["predicted"] == own["label"]).to_numpy(float)
    return {
        "accuracy": both["accuracy"], "teacher": both["baseline"], "difference": both["interval"],
        "interval": interval(is_right, own["group"].to_numpy()),
    }, versions


def _students(training, run, share):
    """The training data with the lessons of a run."""
    table = pd.read_csv(Path(run) / "held_out.csv").set_index("id")
    columns = [name for name in table if name.startswith("probability_")]
    if len(columns) != training.classes or not set(training.train.ids) <= set(table.index):
        raise KitError(
            f"{run} has no out-of-fold prediction for some of these clips. Give the data that it was made from, and "
            "train a member for each fold."
        )
    lessons = table.loc[training.train.ids, columns].to_numpy(np.float32)
    return StudentData(**vars(training), lessons=lessons, share=share)


def _write_versions(workspace, recipe, students, device):
    """Smaller versions of the first student, and their table, on clips that it held out."""
    folder = workspace.folder / "student"
    if not (folder / "versions.csv").exists():
        train_set, valid_set, _ = students.datasets(recipe, 0, device)
        (network,) = load_networks(workspace.members, [0], recipe, classes=students.classes, device=device)
        folder.mkdir(exist_ok=True)
        features = [clips.features[:count].float().cpu().numpy()
                    for clips, count in ((train_set, _CALIBRATION), (valid_set, _TIMED))]
        versions = make_versions(network.float(), folder, features[0])
        write_table(folder / "versions.csv", compare_versions(
            versions, features[1], valid_set.labels[:_TIMED].cpu().numpy()
        ))
    return pd.read_csv(folder / "versions.csv")
