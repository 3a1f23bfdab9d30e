"""Loss functions by hand, class weights, and oversampling."""

import pytest
import torch

from snippetkit.recipe import Recipe
from snippetkit.training import epoch
from snippetkit.training.losses import balanced, loss
from snippetkit.utils.errors import KitError


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(16, 4), torch.randint(4, (16,))


def test_loss_without_options_is_cross_entropy(batch):
    logits, labels = batch
    assert torch.equal(loss(logits, labels), torch.nn.functional.cross_entropy(logits, labels))


def test_focal_loss_tends_to_cross_entropy(batch):
    logits, labels = batch
    for smoothing in (0.0, 0.1):
        expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        torch.testing.assert_close(loss(logits, labels, focal=1e-6, label_smoothing=smoothing), expected)


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
    labels = torch.tensor([0] * 900 + [1] * 100)
    state = type("State", (), {"generator": torch.Generator().manual_seed(0), "classes": 2})()
    dataset = type("Dataset", (), {"labels": labels, "__len__": lambda self: 1000})()
    order = epoch._order(dataset, Recipe(oversample=True), state)
    assert len(order) == 1000 and 450 < int(labels[order].sum()) < 550
    order = epoch._order(dataset, Recipe(), state)
    assert sorted(order.tolist()) == list(range(1000))


def test_class_weights_act_equally_on_labels_and_probabilities(batch):
    logits, labels = batch
    weights, probabilities = balanced(labels, 4), torch.nn.functional.one_hot(labels, 4).float()
    expected = (weights[labels] * torch.nn.functional.cross_entropy(logits, labels, reduction="none")).mean()
    for targets in (labels, probabilities):
        torch.testing.assert_close(loss(logits, targets, class_weights=weights), expected)
        torch.testing.assert_close(loss(logits, targets, class_weights=weights, focal=1e-6), expected)


def test_two_corrections_of_the_class_imbalance_are_refused():
    with pytest.raises(KitError, match="both correct the class imbalance"):
        Recipe(class_weights=True, oversample=True)
