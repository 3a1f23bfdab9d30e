import pytest
import torch

from snippetkit import models
from snippetkit.utils.errors import KitError


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_takes_the_published_features(name):
    network = models.build(name, classes=4, dropout=0.2).eval()
    assert network(torch.zeros(2, 1, 299, 40)).shape == (2, 4)


@pytest.mark.parametrize("name", ["resnet34", "cnn3"])
def test_other_sizes_and_numbers_of_classes(name):
    network = models.build(name, classes=57, dropout=0).eval()
    assert network(torch.zeros(1, 1, 256, 128)).shape == (1, 57)


def test_the_published_resnet34():
    network = models.build("resnet34", classes=4, dropout=0.2)
    first, head = network.conv1, network.fc
    assert (first.in_channels, first.out_channels, first.bias) == (1, 64, None)
    assert (first.kernel_size, first.stride, first.padding) == ((7, 7), (2, 2), (3, 3))
    assert isinstance(head[0], torch.nn.Dropout) and head[0].p == 0.2
    assert (head[1].in_features, head[1].out_features) == (512, 4)
    # torchvision's 21,797,672, less two input channels of 64 filters 7 × 7, less the head of 1000 classes
    assert sum(weight.numel() for weight in network.parameters()) == 21_797_672 - 2 * 64 * 49 - 513 * 1000 + 513 * 4


def test_cnn3_has_three_convolutions_and_two_dense_layers():
    layers = list(models.build("cnn3", classes=4, dropout=0.2).modules())
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in layers) == 3
    assert sum(isinstance(layer, torch.nn.Linear) for layer in layers) == 2


def test_the_seed_decides_the_weights():
    torch.manual_seed(1)
    one = models.build("resnet18", classes=4, dropout=0.2).conv1.weight
    torch.manual_seed(1)
    same = models.build("resnet18", classes=4, dropout=0.2).conv1.weight
    other = models.build("resnet18", classes=4, dropout=0.2).conv1.weight
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KitError, match="'vgg'; choose one of resnet34, resnet18, resnet50, densenet121, cnn3"):
        models.build("vgg", classes=4, dropout=0.2)
