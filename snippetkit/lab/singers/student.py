"""A student of a finished run, small enough for a phone: one network on log-mel features, which needs no separation.

It learns what the run predicted out-of-fold for each train clip: a run's members know the labels of the clips that they
were trained on, so their predictions for those say little more than the labels. Some of these members were trained on
the clips that a student is validated on, so its accuracy is slightly optimistic.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ...data.competition import find
from ...dataset import SnippetDataset
from ...prediction.evaluation import compare_runs, out_of_fold_table, read_out_of_fold
from ...prediction.scores import collect
from ...recipe import LIGHT_TRAINING, Recipe
from ...run.workspace import open_workspace
from ...songs import folds
from ...training.data import TrainingData, prepare
from ...training.members import member_folder
from ...training.weights import read_statistics
from ...utils.artifacts import digest
from ...utils.clock import Clock
from ...utils.errors import KitError
from ...utils.hardware import find_devices
from ...utils.storage import read_json, write_table
from ..methods import interval_or_nan, load_networks, train_all
from .compress import Standardised, compare_versions, make_versions
from .distil import mix_targets

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
        train.labels = mix_targets(train.labels, lessons, self.share)
        return train, valid, test


def student_recipe(model, epochs, run):
    """The recipe of a student: `recipe.LIGHT_TRAINING` on log-mel features of the mixture, a network per fold.

    Clips and folds are those of the recipe of a run, a dict.
    """
    own = {name: run[name] for name in ("seconds", "length", "folds", "split_seed")}
    own |= {"split": "songs", "separator": "none", "model": model, "epochs": epochs, "members": run["folds"]}
    return Recipe(**LIGHT_TRAINING | own)


def train(run, out, *, model="resnet18", epochs=12, data="", share=0.7, clock=None):
    """Train students of a finished run, one per fold, and write smaller versions of the first one.

    Parameters
    ----------
    run : path-like
        Work folder of a finished run with ``split=songs``.
    out : path-like
        Work folder of the students. Gets ``held_out.csv``, and in ``student`` ``network.onnx``, ``network_int8.onnx``
        and ``versions.csv``. The networks take log-mel features as `filterbank.log_mel` gives them: (clips, 1, frames,
        bands), in dB.
    model : str
    epochs : int
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
    if not report:
        raise KitError(f"{run} has no report. Finish the run first (04_predict).")
    recipe = student_recipe(model, epochs, report["recipe"])
    workspace = open_workspace(data or report["data"], out)
    on_bad = "skip" if any(report["bad_clips"].values()) else "fail"
    training = prepare(find(workspace.data), workspace, recipe, on_bad=on_bad)
    _require_same_groups(training, table)
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
        "interval": interval_or_nan(is_right, own["group"].to_numpy()),
    }, versions


def _require_same_groups(training, table):
    groups = pd.Series(training.songs.group, training.train.ids).reindex(table["id"])
    if (groups.to_numpy() != table["group"].to_numpy()).any():
        raise KitError(
            "the songs are found otherwise in these clips than in the run: it had its own table of songs, or its clips "
            "have changed. Such a run cannot teach."
        )


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
        inside, outside = folds.split(students, recipe, 0)
        (network,) = load_networks(workspace.members, [0], recipe, classes=students.classes, device=device)
        network = Standardised(network.cpu(), read_statistics(member_folder(workspace.members, 0)), recipe.channels)
        folder.mkdir(exist_ok=True)
        calibration, timed = (
            SnippetDataset(students.train.array[rows], channels=recipe.channels).features.contiguous().numpy()
            for rows in (inside[:_CALIBRATION], outside[:_TIMED])
        )
        versions = make_versions(network, folder, calibration)
        write_table(folder / "versions.csv", compare_versions(versions, timed, students.labels[outside[:_TIMED]]))
    return pd.read_csv(folder / "versions.csv")
