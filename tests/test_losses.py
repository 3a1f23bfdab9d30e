"""Loss functions by hand, class weights, and oversampling."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training import epoch
from snippetkit.training.losses import balanced, loss
from snippetkit.utils.errors import KitError


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(16, 4), torch.randint(4, (16,))


@pytest.mark.parametrize("focal", [0.0, 1e-6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_without_focal_weighting_is_cross_entropy(batch, focal, smoothing):
    expected = cross_entropy(*batch, label_smoothing=smoothing)
    torch.testing.assert_close(loss(*batch, focal=focal, label_smoothing=smoothing), expected)


def test_focal_loss_by_hand():
    logits = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).log()
    expected = (0.1**2 * -torch.log(torch.tensor(0.9)) + 0.6**2 * -torch.log(torch.tensor(0.4))) / 2
    torch.testing.assert_close(loss(logits, torch.tensor([0, 0]), focal=2.0), expected)


def test_balanced_weights_give_every_class_the_same_sum():
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = balanced(labels, 4)
    assert weights[2] == 0
    torch.testing.assert_close(torch.bincount(labels, weights=weights[labels]), torch.tensor([10, 10, 0, 10]) / 3.0)


def test_oversampling_draws_all_classes_equally_often():
    dataset = SnippetDataset(np.zeros((1000, 1, 1), np.float32), np.repeat([0, 1], [900, 100]))
    state = SimpleNamespace(generator=torch.Generator().manual_seed(0), classes=2)
    drawn = dataset.labels[epoch._order(dataset, Recipe(oversample=True), state)]
    assert len(drawn) == 1000 and 450 < int(drawn.sum()) < 550
    assert sorted(epoch._order(dataset, Recipe(), state).tolist()) == list(range(1000))


def test_class_weights_act_equally_on_labels_and_probabilities(batch):
    logits, labels = batch
    weights, probabilities = balanced(labels, 4), one_hot(labels, 4).float()
    expected = (weights[labels] * cross_entropy(logits, labels, reduction="none")).mean()
    for targets in (labels, probabilities):
        for focal in (0.0, 1e-6):
            torch.testing.assert_close(loss(logits, targets, class_weights=weights, focal=focal), expected)


def test_two_corrections_of_the_class_imbalance_are_refused():
    with pytest.raises(KitError, match="both correct the class imbalance"):
        Recipe(class_weights=True, oversample=True)
