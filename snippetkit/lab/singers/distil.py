"""An ensemble's knowledge in one network: a student that learns what the members answer, not only what people said.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (arXiv:1503.02531).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...data.labels import CLASSES
from ...dataset import SnippetDataset
from ...features.extraction import band_statistics
from ...prediction.scores import average
from ...songs import folds
from ...training.checkpoint import load_network
from ...training.epoch import predict
from ...training.members import finished_members, member_folder, shared_recipe
from ...utils.artifacts import digest
from ...utils.errors import KitError
from .standing import StandIn


@dataclass(frozen=True, kw_only=True)
class Lessons(StandIn):
    """What a student learns from; it stands where `members.TrainingData` stands.

    Attributes
    ----------
    teachers : Path
        ``members`` of the ensemble's work folder.
    students : int
        How many learn, each judged by a fold of its own; other teachers than theirs may come and go.
    temperature : float
        By which the teachers' logits are divided: the higher, the more the student hears of the wrong answers.
    trust : float, 0 to 1
        Share of the teachers' answer in a target; the rest is the label.
    """

    teachers: Path
    students: int = 1
    temperature: float = 2.0
    trust: float = 0.7

    def fingerprint(self, recipe):
        teachers = sorted({
            i for member in range(self.students) for i in self._teachers(folds.split(self.data, recipe, member)[1])
        })
        marks = [(member_folder(self.teachers, i) / "done.json").read_text() for i in teachers]
        return digest([self.data.fingerprint(recipe), marks, self.temperature, self.trust])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with probabilities instead of the labels that are trained on.

        The teachers of a student are those members that held out the clips that it is judged by, so that nothing it
        learns from ever heard their songs.

        Raises
        ------
        KitError
            If no member held out the same clips.
        """
        train, valid, test = self.data.datasets(recipe, member, device)
        rows, held_out = folds.split(self.data, recipe, member)
        answers = self._answers(rows, held_out, device)
        taught = torch.from_numpy(answers / self.temperature).softmax(dim=1).float().to(device.name)
        told = torch.nn.functional.one_hot(train.labels, self.classes).float()
        train.labels = self.trust * taught + (1 - self.trust) * told
        return train, valid, test

    def _answers(self, rows, held_out, device):
        teachers = self._teachers(held_out)
        if not teachers:
            raise KitError(f"no member in {self.teachers} held out the clips that the student is judged by.")
        recipe, _ = shared_recipe(self.teachers, teachers)
        array = self.data.train.array[rows]
        statistics = band_statistics(array) if recipe.standardise else None
        clips = SnippetDataset(array, device=device.name, statistics=statistics, channels=recipe.channels)
        paths = (member_folder(self.teachers, i) / "last.pt" for i in teachers)
        networks = (load_network(path, recipe, classes=self.classes, device=device) for path in paths)
        return average(np.stack([predict(network, clips, device) for network in networks]))

    def _teachers(self, held_out):
        """Numbers of the members that held out these clips."""
        members = finished_members(self.teachers)
        recipe, _ = shared_recipe(self.teachers, members)
        return [i for i in members if np.array_equal(folds.split(self.data, recipe, i)[1], held_out)]


def agreement(student, ensemble):
    """How much of an ensemble a student is, on clips whose songs neither had heard, and on the test clips.

    Parameters
    ----------
    student, ensemble : Result

    Returns
    -------
    dict
        ``student`` and ``ensemble``: accuracy on the clips that both held out; ``agreement`` there, and
        ``test_agreement``: share of clips with the same answer.
    """
    clips = np.intersect1d(student.valid_clips, ensemble.valid_clips)
    one, other = (
        average(each.valid_logits)[np.isin(each.valid_clips, clips)].argmax(axis=1) for each in (student, ensemble)
    )
    labels = student.valid_labels[np.isin(student.valid_clips, clips)]
    return {
        "student": float(np.mean(one == labels)), "ensemble": float(np.mean(other == labels)),
        "agreement": float(np.mean(one == other)),
        "test_agreement": float(np.mean(student.predictions == ensemble.predictions)),
    }


def load_student(folder, recipe, device):
    """The network of a student that `ensemble.train_ensemble` left, in single precision: nn.Module."""
    path = member_folder(folder, 0) / "last.pt"
    return load_network(path, recipe, classes=len(CLASSES), device=device).float()
