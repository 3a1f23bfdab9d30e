"""The networks: shapes, the published ResNet34, unknown names."""

import pytest
import torch

from snippetkit import models
from snippetkit.utils.errors import KitError


@pytest.mark.parametrize("frames, bands", [(299, 40), (256, 128)])
@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_maps_features_of_any_size_to_a_logit_per_class(name, frames, bands):
    network = models.build(name, classes=57, dropout=0.2).eval()
    assert network(torch.zeros(2, 1, frames, bands)).shape == (2, 57)


def test_resnet34_is_the_published_one():
    network = models.build("resnet34", classes=4, dropout=0.2)
    first, head = network.conv1, network.fc
    assert (first.in_channels, first.out_channels, first.bias) == (1, 64, None)
    assert (first.kernel_size, first.stride, first.padding) == ((7, 7), (2, 2), (3, 3))
    assert isinstance(head[0], torch.nn.Dropout) and head[0].p == 0.2
    assert (head[1].in_features, head[1].out_features) == (512, 4)
    # torchvision's 21,797,672, minus two input channels of 64 filters of 7 × 7, minus the head for 1000 classes
    assert sum(weight.numel() for weight in network.parameters()) == 21_797_672 - 2 * 64 * 49 - 513 * 1000 + 513 * 4


def test_cnn3_has_three_convolutions_and_two_dense_layers():
    layers = list(models.build("cnn3", classes=4, dropout=0.2).modules())
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in layers) == 3
    assert sum(isinstance(layer, torch.nn.Linear) for layer in layers) == 2


def test_unknown_name_lists_the_known_ones_and_the_registered_ones():
    message = "no model 'vgg'. Choose one of resnet34, resnet18, resnet50, densenet121, cnn3, .*, lab.crnn"
    with pytest.raises(KitError, match=message):
        models.build("vgg", classes=4, dropout=0.2)
