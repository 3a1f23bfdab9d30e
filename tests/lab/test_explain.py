"""Explanations fall where the prediction comes from."""

import numpy as np
import pytest
import soxr
import torch
from tqdm import tqdm

from snippetkit import models
from snippetkit.data.synthesis import CLIP_RATE, song
from snippetkit.dataset import SnippetDataset
from snippetkit.features.extraction import band_statistics
from snippetkit.filterbank import log_mel
from snippetkit.lab.singers import explain
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import new_state
from snippetkit.training.epoch import train_one_epoch

pytest.importorskip("captum", reason="explanations: pip install -r requirements-lab.txt")


class FirstHalf(torch.nn.Module):
    """The logit of class 1 is the energy in the first half of the time."""

    def __init__(self):
        super().__init__()
        self.maps = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
        torch.nn.init.constant_(self.maps.weight, 1 / 9)

    def forward(self, features):
        energy = self.maps(features)[:, :, : features.shape[2] // 2].mean(dim=(1, 2, 3))
        return torch.stack([-energy, energy], dim=1)


@pytest.mark.parametrize("name", explain.EXPLANATIONS)
def test_explanations_fall_where_the_prediction_comes_from(name):
    features = torch.rand(1, 1, 64, 40)
    features[:, :, :32] += 2    # occlusion hides with the mean of the clip
    explanation = explain.EXPLANATIONS[name](FirstHalf(), features, 1)
    assert explanation.shape == (64, 40) and explanation.max() == pytest.approx(1)
    # Grad-CAM weights whole maps, and this network has one; occlusion hides 30 of these 64 frames at a time
    least = {"saliency": 1.9, "class activation": 0, "occlusion": 1.3}[name]
    assert explain.ratio_on_voice(explanation, np.arange(64) < 32) > least


def test_a_uniform_explanation_is_chance():
    assert explain.ratio_on_voice(np.ones((64, 40)), np.arange(64) < 20) == pytest.approx(1)
    assert np.isnan(explain.ratio_on_voice(np.ones((64, 40)), np.ones(64, bool)))
    assert np.isnan(explain.ratio_on_voice(np.zeros((64, 40)), np.arange(64) < 20))


def test_the_most_confident_correct_and_wrong_predictions_are_explained():
    energy = torch.tensor([3.0, 1.0, -2.0, -1.0])
    features = (torch.ones(4, 8, 10) * energy[:, None, None]).numpy()
    explanations = explain.explain_most_confident(FirstHalf(), SnippetDataset(features, np.array([1, 1, 1, 0])))
    (correct, (row, shown, maps)), (wrong, (other, *_)) = explanations.items()
    assert correct.startswith("correct: predicted") and "\nlabelled" in wrong and (row, other) == (0, 2)
    assert np.array_equal(shown, features[0]) and maps.keys() == explain.EXPLANATIONS.keys()


def test_explanations_of_synthetic_voices_are_a_row_per_clip(cpu):
    network = models.build("cnn3", classes=4, dropout=0.2)
    table = explain.measure_on_voices(network, Recipe.published(), None, 3, device=cpu)
    assert list(table) == list(explain.EXPLANATIONS) and len(table) == 3 and (table["saliency"] > 0).all()


@pytest.mark.slow
def test_explanations_of_a_trained_network_fall_on_the_voice(cpu):
    """A network that tells clips with a voice in one half from clips without a voice has to use that half."""
    recipe, rng = Recipe.published(), np.random.default_rng(5)
    sung, _, _ = explain.half_sung_clips(recipe, 150, seed=1)
    unsung = [log_mel(soxr.resample(song([0], rng), CLIP_RATE, recipe.sample_rate), recipe) for _ in range(150)]
    features = np.concatenate([sung, np.stack(unsung).astype(np.float32)])
    statistics = band_statistics(features)
    clips = SnippetDataset(features, np.repeat([1, 0], 150), statistics=statistics)
    training = recipe.with_values(model="cnn3", epochs=15, batch_size=16, lr=1e-3)
    state = new_state({"member": 0}, training, seed=0, batches=19, classes=2, device=cpu)
    for _ in range(training.epochs):
        train_one_epoch(state, clips, training, cpu, tqdm(disable=True))
    others, is_sung, _ = explain.half_sung_clips(recipe, 30, seed=2)
    others = SnippetDataset(others, statistics=statistics)
    for name, explanation in explain.EXPLANATIONS.items():
        ratios = [explain.ratio_on_voice(explanation(state.model, others[i][None], 1), is_sung[i]) for i in range(30)]
        assert np.median(ratios) > 1.15 and np.mean(np.array(ratios) > 1) > 0.75, name
