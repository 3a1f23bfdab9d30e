"""The networks of the textbooks: shapes, gradients, a batch learned by heart, and training that resumes to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import same_bits

from snippetkit import models
from snippetkit.lab.networks import BUILDERS
from snippetkit.recipe import Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError

SPECTRA = [name for name in BUILDERS if name != "wave"]


def shape_of(name):
    return (4, 1, 16_000, 1) if name == "wave" else (4, 1, 299, 40)


@pytest.mark.parametrize("name", BUILDERS)
def test_shapes_and_gradients(name):
    torch.manual_seed(0)
    network = models.build(f"lab.{name}", classes=4, dropout=0.2)
    logits = network(torch.randn(shape_of(name)))
    assert logits.shape == (4, 4)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in network.parameters())
    moved = [bool(weight.grad.any()) for weight in network.parameters()]
    assert sum(moved) > 0.9 * len(moved)


def samples_of(data):
    """The same clips as one long column each."""
    columns = {
        split: replace(getattr(data, split), array=np.tile(getattr(data, split).array.reshape(-1, 1600, 1), (1, 4, 1)))
        for split in ("train", "test")
    }
    return replace(data, **columns)


@pytest.mark.parametrize("name", SPECTRA)
def test_other_lengths_bands_and_channels_will_do(name):
    network = models.build(f"lab.{name}", classes=3, dropout=0.2, channels=2).eval()
    assert network(torch.randn(2, 2, 130, 128)).shape == (2, 3)


@pytest.mark.parametrize("name", BUILDERS)
def test_one_batch_is_learned_by_heart(name):
    torch.manual_seed(0)
    features, labels = torch.randn(8, *shape_of(name)[1:]), torch.arange(8) % 4
    network = models.build(f"lab.{name}", classes=4, dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            return
    pytest.fail(f"the loss is still {loss:.3f}")


@pytest.mark.parametrize("name", BUILDERS)
def test_training_resumes_to_the_bit(name, small_data, cpu, tmp_path):
    if name == "wave":
        small_data = samples_of(small_data)
    recipe = Recipe.published().with_values(model=f"lab.{name}", epochs=2, batch_size=16, precision="fp32")

    class OneEpoch(Clock):
        asked = 0

        def would_overrun(self, seconds):
            self.asked += 1
            return self.asked > 1

    assert train_member(tmp_path / "whole", 0, recipe, small_data, device=cpu)
    assert not train_member(tmp_path / "parts", 0, recipe, small_data, device=cpu, clock=OneEpoch(1))
    assert train_member(tmp_path / "parts", 0, recipe, small_data, device=cpu)
    assert same_bits(tmp_path / "whole", tmp_path / "parts")


def test_two_heads_give_probabilities_of_both_questions():
    network = models.build("lab.two_heads", classes=4, dropout=0.0).eval()
    probabilities = network(torch.randn(3, 1, 299, 40)).exp()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))     # logarithms of probabilities already


def test_a_model_that_is_not_there_is_a_sentence():
    with pytest.raises(KitError, match="there is no model 'lab.rnn'; choose one of .*lab.crnn"):
        models.build("lab.rnn", classes=4, dropout=0)


def test_a_mistyped_model_leaves_no_folder(small_data, cpu, tmp_path):
    with pytest.raises(KitError, match="there is no model 'lab.crn'"):
        train_member(tmp_path / "member_00", 0, Recipe(model="lab.crn"), small_data, device=cpu)
    assert not (tmp_path / "member_00").exists()


def test_samples_are_not_spectrograms():
    with pytest.raises(KitError, match="lab.wave takes samples"):
        models.build("lab.wave", classes=4, dropout=0)(torch.randn(2, 1, 299, 40))
