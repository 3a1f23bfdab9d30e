"""The lab's networks: shapes, gradients, a batch that can be memorised, and training that resumes to the bit."""

from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from conftest import same_bits

from snippetkit import models
from snippetkit.recipe import MODEL_PLUGINS, Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

NAMES = sorted(name for name in entry_points(group=MODEL_PLUGINS).names if name.startswith("lab."))
SHAPES = {name: (1, 16_000, 1) if name == "lab.wave" else (1, 299, 40) for name in NAMES}


def memorise(network, features, labels):
    """The loss after at most 60 steps on one batch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    return loss


def test_all_networks_are_registered():
    assert NAMES == ["lab.cnn4", "lab.crnn", "lab.tcn", "lab.transformer", "lab.two_heads", "lab.wave"]


@pytest.mark.parametrize("name", NAMES)
def test_all_weights_get_gradients(name):
    torch.manual_seed(0)
    network = models.build(name, classes=4, dropout=0.2)
    logits = network(torch.randn(4, *SHAPES[name]))
    assert logits.shape == (4, 4)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in network.parameters())
    assert np.mean([bool(weight.grad.any()) for weight in network.parameters()]) > 0.9


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lab.wave"])
def test_networks_take_other_lengths_bands_and_channels(name):
    network = models.build(name, classes=3, dropout=0.2, channels=2).eval()
    assert network(torch.randn(2, 2, 130, 128)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_can_be_memorised(name):
    """Clips are short, which saves time."""
    torch.manual_seed(0)
    channels, frames, bands = SHAPES[name]
    features = torch.randn(8, channels, frames // 2, bands)
    assert memorise(models.build(name, classes=4, dropout=0.0), features, torch.arange(8) % 4) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_training_resumes_to_the_bit(name, small_data, cpu, tmp_path):
    if name == "lab.wave":      # the same clips as one long column each
        small_data = replace(small_data, **{
            split: replace(features, array=np.tile(features.array.reshape(-1, 1600, 1), (1, 4, 1)))
            for split, features in (("train", small_data.train), ("test", small_data.test))
        })
    recipe = Recipe.published().with_values(model=name, epochs=2, batch_size=16, precision="fp32")

    class OneEpoch(Clock):
        asked = 0

        def would_overrun(self, seconds):
            self.asked += 1
            return self.asked > 1

    assert train_member(tmp_path / "whole", 0, recipe, small_data, device=cpu)
    assert not train_member(tmp_path / "parts", 0, recipe, small_data, device=cpu, clock=OneEpoch(1))
    assert train_member(tmp_path / "parts", 0, recipe, small_data, device=cpu)
    assert same_bits(tmp_path / "whole", tmp_path / "parts")


def test_two_heads_return_log_probabilities():
    probabilities = models.build("lab.two_heads", classes=4, dropout=0.0).eval()(torch.randn(3, 1, 299, 40)).exp()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))


def test_an_unknown_model_is_refused():
    with pytest.raises(KitError, match="there is no model 'lab.rnn'. Choose one of .*lab.crnn"):
        models.build("lab.rnn", classes=4, dropout=0)
    with pytest.raises(KitError, match="model='lab.rnn' is unknown. Choose one of .*lab.crnn"):
        Recipe(model="lab.rnn")


def test_samples_are_not_spectrograms():
    with pytest.raises(KitError, match="model=lab.wave takes samples, not spectrograms. Choose another model."):
        models.build("lab.wave", classes=4, dropout=0)(torch.randn(2, 1, 299, 40))
