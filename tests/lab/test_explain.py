"""Explanations fall where the answer is, and a stream decides when it is due."""

import numpy as np
import pytest
import soxr
import torch

from snippetkit import models
from snippetkit.data.synthesis import CLIP_RATE, song
from snippetkit.dataset import SnippetDataset
from snippetkit.features.extraction import band_statistics
from snippetkit.filterbank import log_mel
from snippetkit.lab import maps
from snippetkit.lab.singers.streaming import Stream, lateness, over, recording
from snippetkit.recipe import Recipe


class Corner(torch.nn.Module):
    """Class 1 is the energy of the first half of the time."""

    def __init__(self):
        super().__init__()
        self.maps = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
        torch.nn.init.constant_(self.maps.weight, 1 / 9)

    def forward(self, features):
        early = self.maps(features)[:, :, : features.shape[2] // 2].mean(dim=(1, 2, 3))
        return torch.stack([-early, early], dim=1)


def test_maps_fall_where_the_answer_comes_from():
    pytest.importorskip("captum", reason="what explains: pip install -r requirements-lab.txt")
    from snippetkit.lab.singers import explain

    features = torch.rand(1, 1, 64, 40)
    is_early = np.arange(64) < 32
    for found in (explain.saliency(Corner(), features, 1), explain.class_activation(Corner(), features, 1)):
        assert found.shape == (64, 40) and found.max() == pytest.approx(1)
    assert explain.on_the_voice(explain.saliency(Corner(), features, 1), is_early) > 1.9


def test_a_map_that_looks_everywhere_is_chance():
    pytest.importorskip("captum", reason="what explains: pip install -r requirements-lab.txt")
    from snippetkit.lab.singers import explain

    assert explain.on_the_voice(np.ones((64, 40)), np.arange(64) < 20) == pytest.approx(1)
    assert np.isnan(explain.on_the_voice(np.ones((64, 40)), np.ones(64, bool)))


def test_the_maps_of_a_trained_network_fall_on_the_voice(cpu):
    """What tells clips in which somebody sings for one half from clips without a voice has to look at that half."""
    pytest.importorskip("captum", reason="what explains: pip install -r requirements-lab.txt")
    from snippetkit.lab.singers import explain

    recipe, rng = Recipe.published(), np.random.default_rng(5)
    sung, _, _ = explain.half_sung(recipe, 150, seed=1)
    unsung = [log_mel(soxr.resample(song([0], rng), CLIP_RATE, recipe.sample_rate), recipe) for _ in range(150)]
    features = np.concatenate([sung, np.stack(unsung).astype(np.float32)])
    statistics = band_statistics(features)
    clips = SnippetDataset(features, np.repeat([1, 0], 150), statistics=statistics)
    network = trained(clips, epochs=15)
    others, sounds, _ = explain.half_sung(recipe, 30, seed=2)
    others = SnippetDataset(others, statistics=statistics)
    for way in (explain.saliency, explain.class_activation):
        found = [explain.on_the_voice(way(network, others[i][None], 1), sounds[i]) for i in range(30)]
        assert np.median(found) > 1.15 and np.mean(np.array(found) > 1) > 0.75, way.__name__


def trained(clips, *, epochs):
    torch.manual_seed(0)
    network = models.build("cnn3", classes=2, dropout=0.2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch, labels in clips.batches(16, order=torch.randperm(len(clips), generator=generator)):
            loss = torch.nn.functional.cross_entropy(network(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def test_the_voices_of_a_network_with_four_classes_are_counted_by_clip(cpu):
    pytest.importorskip("captum", reason="what explains: pip install -r requirements-lab.txt")
    from snippetkit.lab.singers import explain

    network = models.build("cnn3", classes=4, dropout=0.2)
    found = explain.on_known_voices(network, Recipe.published(), None, 3, device=cpu)
    assert list(found) == ["saliency", "class activation"] and len(found) == 3 and (found["saliency"] > 0).all()


# --- streams ---


def test_a_decision_comes_every_half_second_from_the_last_seconds_alone():
    heard = []

    def probabilities(window):
        heard.append(window.copy())
        return np.array([1.0, 0.0]) if window[-1] < 2500 else np.array([0.0, 1.0])

    stream = Stream(probabilities, sample_rate=1000, window=1.0, memory=0.5)
    found = over(np.arange(4200, dtype=np.float32), stream, chunk=333)
    assert found["seconds"].tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert heard[3].tolist() == list(range(1000, 2000)) and heard[0][:500].tolist() == [0] * 500
    answers = np.stack(found["answer"])
    assert answers[4].tolist() == [1, 0] and answers[5].tolist() == [0.5, 0.5] and answers[6].tolist() == [0.25, 0.75]
    assert (found["milliseconds"] >= 0).all()


def test_the_song_without_a_recording_is_known_in_every_moment():
    signal, truth = recording(sample_rate=16_000)
    assert signal.shape == (480_000,) and truth[0] == (0, 3, 0) and truth[-1][1] == 30
    assert {label for _, _, label in truth} == {0, 1, 2, 3}
    both, _ = recording(sample_rate=44_100, mono=False)
    assert both.shape == (1_323_000, 2)


def test_a_stream_has_the_channels_of_its_samples():
    heard = []
    stream = Stream(lambda window: heard.append(window.shape) or np.ones(1), sample_rate=1000, window=1.0)
    assert len(over(np.ones((1200, 2), np.float32), stream)) == 2 and heard == [(1000, 2)] * 2


def test_a_decision_is_late_by_half_its_window_and_by_its_memory():
    assert lateness(memory=0) == 1.5 and lateness(window=5.0, memory=0) == 2.5
    # windows of 1/6, 2/6 … of the new voice, each weighing 0.4: 0.07, 0.17, 0.30, 0.45, 0.60
    assert lateness(memory=0.6) == 2.5
    assert lateness(memory=0.9) > 4


def test_a_class_that_no_place_speaks_for_is_said_so():
    features = np.ones((20, 8), np.float32)
    pictures = {"right": (features, features, features), "wrong": (features, features, 0 * features)}
    titles = [axis.get_title() for axis in maps.explained(pictures, seconds=3.0).axes]
    assert titles == ["right", "saliency", "class activation",
                      "wrong", "saliency", "class activation: no place speaks for it"]
