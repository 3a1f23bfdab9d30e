"""Distillation: one network, the student, learns the predictions of an ensemble, not the labels alone.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (arXiv:1503.02531).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...data.labels import CLASSES
from ...prediction.evaluation import out_of_fold_table
from ...songs import folds
from ...training.data import TrainingData
from ...training.members import finished_members, member_folder, shared_recipe
from ...utils.artifacts import digest
from ...utils.errors import KitError
from ..methods import load_networks, predict_average


@dataclass(frozen=True, kw_only=True)
class DistillationData(TrainingData):
    """Training data whose targets come from an ensemble and from the labels.

    It is made from other training data: ``DistillationData(**vars(data), teachers=…)``.

    Attributes
    ----------
    teachers : Path
        ``members`` in the ensemble's work folder.
    students : int
        Number of students, one per fold. Only members that teach one of them count in the fingerprint.
    temperature : float
        Divides the teachers' logits: the higher, the more a target says about the wrong classes.
    teacher_weight : float, 0 to 1
        Weight of the teachers' probabilities in a target; the rest is the label.
    """

    teachers: Path
    students: int = 1
    temperature: float = 2.0
    teacher_weight: float = 0.7

    def fingerprint(self, recipe):
        teachers = {i for student in range(self.students) for i in self._teachers_of(recipe, student)}
        records = [(member_folder(self.teachers, i) / "done.json").read_text() for i in sorted(teachers)]
        return digest([super().fingerprint(recipe), records, self.temperature, self.teacher_weight])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with probabilities as targets of the training set.

        The teachers of a student are the members that have the same validation set. So neither the student nor its
        teachers have seen the songs on which it is evaluated.

        Raises
        ------
        KitError
            If no member has the same validation set.
        """
        train, valid, test = super().datasets(recipe, member, device)
        teachers = self._teachers_of(recipe, member)
        if not teachers:
            raise KitError(
                f"no member in {self.teachers} has the validation set of student {member}. Evaluate fewer folds, or "
                "train more members."
            )
        teacher_recipe, _ = shared_recipe(self.teachers, teachers)
        networks = load_networks(self.teachers, teachers, teacher_recipe, classes=self.classes, device=device)
        clips, _, _ = super().datasets(teacher_recipe, teachers[0], device)
        logits = torch.from_numpy(predict_average(networks, clips, device))
        probabilities = (logits / self.temperature).softmax(dim=1).float().to(device.name)
        train.labels = mix_targets(train.labels, probabilities, self.teacher_weight)
        return train, valid, test

    def _teachers_of(self, recipe, student):
        """Numbers of the members with the student's validation set."""
        members, (_, valid) = finished_members(self.teachers), folds.split(self, recipe, student)
        teacher_recipe, _ = shared_recipe(self.teachers, members)
        return [i for i in members if np.array_equal(folds.split(self, teacher_recipe, i)[1], valid)]


def mix_targets(labels, probabilities, share):
    """Targets of which a share is a teacher's probabilities, and the rest is the label.

    Parameters
    ----------
    labels : Tensor, shape (clips,), int64
    probabilities : Tensor, shape (clips, classes)
    share : float, 0 to 1

    Returns
    -------
    Tensor, shape (clips, classes)

    Examples
    --------
    >>> mix_targets(torch.tensor([1]), torch.tensor([[0.5, 0.5]]), 0.5)
    tensor([[0.2500, 0.7500]])
    """
    is_label = torch.nn.functional.one_hot(labels, probabilities.shape[1]).float()
    return share * probabilities + (1 - share) * is_label


def compare_with_ensemble(student, ensemble, data):
    """Accuracies of student and ensemble, and how often they agree.

    Parameters
    ----------
    student, ensemble : Result
    data : TrainingData

    Returns
    -------
    dict
        On the clips that both predicted out-of-fold: ``student`` and ``ensemble``, their accuracies, and ``agreement``,
        the share of equal predictions. On the test clips: ``test_agreement``.
    """
    both = out_of_fold_table(student, data).merge(
        out_of_fold_table(ensemble, data), on="id", suffixes=("", "_ensemble")
    )
    return {
        "student": (both["predicted"] == both["label"]).mean(),
        "ensemble": (both["predicted_ensemble"] == both["label"]).mean(),
        "agreement": (both["predicted"] == both["predicted_ensemble"]).mean(),
        "test_agreement": (student.predictions == ensemble.predictions).mean(),
    }


def load_student(folder, recipe, device):
    """Load the network of the first student in a folder of members, in single precision: nn.Module."""
    return load_networks(folder, [0], recipe, classes=len(CLASSES), device=device)[0].float()
