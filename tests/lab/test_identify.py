"""A network learns songs of tones under noise, resumes with the same bits, and identifies recordings of any length."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import same_bits
from lab.sounds import CPU, RATE, make_songs, noisy_song, small_data, small_recipe, train_network

from snippetkit.lab.identify import comparison, evaluation
from snippetkit.lab.identify.answers import UNKNOWN
from snippetkit.lab.identify.fragments import NoisyFragments
from snippetkit.lab.identify.noise import Mix
from snippetkit.lab.identify.recogniser import Recogniser, conclude, find_network, song_recipe, train
from snippetkit.lab.identify.untrained import EmbeddingRecogniser
from snippetkit.lab.spectrogram import MelSpectrogram, decibels
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def network(make_once):
    return make_once("song_network", train_network)


@pytest.fixture
def recogniser(network):
    return Recogniser(network, device=CPU)


def test_five_seconds_are_256_frames_of_128_bands():
    spectrogram = MelSpectrogram(song_recipe())
    images = spectrogram(torch.randn(2, 5 * RATE))
    assert images.shape == (2, 1, 256, 128)
    torch.testing.assert_close(images.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std(dim=(1, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)
    assert torch.equal(spectrogram(torch.zeros(1, 5 * RATE)), torch.zeros(1, 1, 256, 128))


def test_levels_are_relative_to_the_loudest_point():
    spectrogram = MelSpectrogram(song_recipe())
    signal = torch.from_numpy(np.stack(make_songs(1, 5.0)))
    levels, softer = decibels(spectrogram.energy(signal)), decibels(spectrogram.energy(0.01 * signal))
    assert levels.max() == 0 and levels.min() == -80
    torch.testing.assert_close(levels, softer, atol=0.01, rtol=0)


@pytest.mark.parametrize("frames, windows", [(60, 1), (256, 1), (306, 1), (307, 2), (450, 4), (510, 5)])
def test_windows_cover_a_recording(recogniser, frames, windows):
    probabilities = recogniser.probabilities(noisy_song(0)[: (frames - 1) * 431])
    assert probabilities.shape == (windows, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("number, name", [(0, "low"), (1, "middle"), (2, "high")])
def test_a_recording_is_identified(recogniser, number, name):
    probabilities = recogniser.probabilities(noisy_song(number))
    title, top = recogniser.conclude(probabilities)
    assert title == next(iter(top)) == name
    recogniser.threshold = 1.01
    assert recogniser.conclude(probabilities) == (UNKNOWN, top)     # the probabilities stay the same


def test_a_click_changes_only_the_windows_that_contain_it(recogniser):
    song = noisy_song(0)
    clicked = np.append(song[:-100], np.ones(100, np.float32))
    before, after = recogniser.probabilities(song), recogniser.probabilities(clicked)
    np.testing.assert_allclose(before[:-1], after[:-1], atol=1e-6)


def test_embeddings_identify_known_songs_and_one_that_was_never_learned(recogniser):
    embeddings = EmbeddingRecogniser(recogniser, small_data())
    before = embeddings.probabilities(noisy_song(1))
    assert before.shape == (6, 3) and conclude(before, embeddings.names)[0] == "middle"
    new = make_songs(5, 10.0)[4]
    embeddings.add("new", new)
    noisy = new + np.random.default_rng(1).normal(0, 0.04, len(new)).astype(np.float32)
    assert conclude(embeddings.probabilities(noisy), embeddings.names)[0] == "new"
    np.testing.assert_array_equal(embeddings.probabilities(noisy_song(1))[:, :3], before)
    fragments = NoisyFragments(small_data().sounds(recogniser.recipe, CPU), 4, seed=1)
    assert (embeddings.logits(fragments)[:, :3].argmax(axis=1) == fragments.labels.numpy()).mean() > 0.9


def test_less_than_a_second_is_refused(recogniser):
    with pytest.raises(KitError, match="the recording lasts 0.5 s. Record at least 1 s"):
        recogniser.probabilities(np.ones(RATE // 2, np.float32))


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path):
    one_epoch, answers = Clock(), iter([False, True])
    one_epoch.would_overrun = lambda seconds: next(answers)
    data, recipe = small_data(fragments=4), small_recipe(2)
    assert train(tmp_path / "whole", data, recipe, device=CPU)
    clocks = Clock(1e-9), one_epoch, Clock()
    finished = [train(tmp_path / "parts", data, recipe, device=CPU, clock=clock) for clock in clocks]
    assert finished == [False, False, True]
    assert same_bits(tmp_path / "whole" / "member_00", tmp_path / "parts" / "member_00")


@pytest.mark.parametrize("changes, difference", [
    ({"names": ["high", "middle", "low"]}, r"names: \['low', 'middle', 'high'\], now \['high'"),
    ({"source": "others"}, "sounds: 'tones', now 'others'"),
    ({"mix": Mix(snr=(0, 5))}, r"snr: \[-5.0, 20.0\], now \[0, 5\]"),
])
def test_a_network_of_other_songs_or_another_mix_is_refused(network, changes, difference):
    with pytest.raises(KitError, match=f"was created differently .{difference}"):
        train(network, small_data(**changes), small_recipe(), device=CPU)


def test_a_folder_without_a_network_is_named(tmp_path):
    with pytest.raises(KitError, match=f"{tmp_path} holds no trained song network"):
        Recogniser(tmp_path)


def test_the_threshold_of_the_best_network_is_kept(network, tmp_path, capsys):
    shutil.copytree(network, tmp_path / "networks" / "dense")
    data, recipes = small_data(unknown=make_songs(5, 10.0)[3:]), {"dense": small_recipe()}
    networks = comparison.compare_networks(tmp_path, data, recipes, count=2, device=CPU, clock=Clock())
    assert "member 00" not in capsys.readouterr().err       # it is not trained again
    assert networks.table["test"].tolist() == ["other fragments", "simulated phone", "20 s by phone"]
    rates, known, unknown = networks.choose_threshold(1)
    assert len(known) == 3 and len(unknown) == 1 and known.max() <= 1
    assert Recogniser(find_network(tmp_path), device=CPU).threshold == rates["threshold"]
    assert ("cannot recognise unknown songs" in capsys.readouterr().err) == (rates["auc"] < 0.7)
    with pytest.raises(KitError, match="a threshold needs two unknown songs"):
        replace(networks, data=small_data()).choose_threshold(1)
    curve = networks.accuracy_by_snr(1)["dense"]
    assert curve["snr"].tolist() == list(evaluation.SNRS) and curve["top5"].eq(1).all()     # of three songs


# --- metrics ---


def test_metrics_of_a_handful_of_fragments():
    # six songs; the third fragment is taken for song 0, its own song is the second likeliest
    logits = 5 * np.eye(6)
    logits[2] = [9, 0, 5, 0, 0, 0]
    metrics = evaluation.compute_metrics(logits, np.arange(6))
    assert metrics["accuracy"] == pytest.approx(5 / 6) and metrics["top5"] == 1 and 0.9 < metrics["auc"] <= 1
    assert metrics["precision"] == pytest.approx((0.5 + 1 + 0 + 1 + 1 + 1) / 6)
    last = np.tile(np.arange(6.0), (6, 1))      # song 0 is the sixth everywhere
    assert evaluation.compute_metrics(last, np.arange(6))["top5"] == pytest.approx(5 / 6)


def test_the_threshold_separates_known_from_unknown():
    known, unknown = np.array([0.9, 0.8, 0.7, 0.4]), np.array([0.5, 0.3, 0.2])
    assert evaluation.choose_threshold(known, unknown) == 0.7
    assert evaluation.threshold_rates(known, unknown, 0.7) == {
        "threshold": 0.7, "true_positive_rate": 0.75, "false_positive_rate": 0.0, "auc": pytest.approx(11 / 12),
    }
