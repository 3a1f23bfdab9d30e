"""The lab's networks: shapes, a batch that can be memorised, gradients, and training that resumes to the bit."""

from functools import partial
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from conftest import make_data, same_bits

from snippetkit import models
from snippetkit.recipe import MODEL_PLUGINS, Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

NAMES = sorted(name for name in entry_points(group=MODEL_PLUGINS).names if name.startswith("lab."))
SHAPES = {name: (8000, 1) if name == "lab.wave" else (60, 40) for name in NAMES}    # frames, bands


def test_all_networks_are_registered():
    assert NAMES == ["lab.cnn4", "lab.crnn", "lab.tcn", "lab.transformer", "lab.two_heads", "lab.wave"]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_memorises_a_batch_and_all_its_weights_get_gradients(name):
    torch.manual_seed(0)
    network = models.build(name, classes=4, dropout=0.0)
    features, labels = torch.randn(8, 1, *SHAPES[name]), torch.arange(8) % 4
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(features), labels)
        if loss < 0.05:
            return
        optimizer.zero_grad()
        loss.backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
        assert np.mean([bool(weight.grad.any()) for weight in network.parameters()]) > 0.9
        optimizer.step()
    pytest.fail(f"the loss is still {loss:.2f}")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lab.wave"])
def test_networks_take_other_lengths_bands_and_channels(name):
    network = models.build(name, classes=3, dropout=0.2, channels=2).eval()
    assert network(torch.randn(2, 2, 130, 128)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_training_resumes_to_the_bit(name, cpu, tmp_path):
    frames, bands = SHAPES[name]
    recipe = Recipe.published().with_values(model=name, epochs=2, batch_size=16, precision="fp32")
    one_epoch, answers = Clock(), iter([False, True])
    one_epoch.would_overrun = lambda seconds: next(answers)
    data = make_data(seed=0, frames=frames, bands=bands)
    train = partial(train_member, member=0, recipe=recipe, data=data, device=cpu)
    assert train(tmp_path / "whole") and not train(tmp_path / "parts", clock=one_epoch) and train(tmp_path / "parts")
    assert same_bits(tmp_path / "whole", tmp_path / "parts")


def test_samples_are_not_spectrograms():
    with pytest.raises(KitError, match="model=lab.wave takes samples, not spectrograms. Choose another model."):
        models.build("lab.wave", classes=4, dropout=0)(torch.randn(2, 1, 299, 40))
