"""Songs of tones under noise: a network learns them, resumes to the bit, and recognises a recording of any length."""

import numpy as np
import pytest
import torch
from conftest import same_bits
from lab.sounds import CPU, RATE, small_data, small_recipe, songs, trained_network

from snippetkit.lab.identify import recogniser as identify
from snippetkit.lab.identify.noise import Mix
from snippetkit.lab.spectrogram import MelSpectrogram, decibels
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def data():
    return small_data()


@pytest.fixture(scope="module")
def small():
    return small_recipe()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identify") / "member"
    trained_network(folder)
    return folder


def test_five_seconds_are_256_frames_of_128_bands():
    heard = MelSpectrogram(identify.recipe())(torch.randn(2, 5 * RATE))
    assert heard.shape == (2, 1, 256, 128)
    torch.testing.assert_close(heard.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(heard.std(dim=(1, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)


def test_levels_are_relative_to_the_loudest_and_silence_is_no_nan():
    spectrogram = MelSpectrogram(identify.recipe())
    sound = torch.from_numpy(np.stack(songs(1, 5.0)))
    one, softer = decibels(spectrogram.energy(sound)), decibels(spectrogram.energy(0.01 * sound))
    assert one.max() == 0 and one.min() == -80
    torch.testing.assert_close(one, softer, atol=0.01, rtol=0)
    assert torch.equal(spectrogram(torch.zeros(1, 5 * RATE)), torch.zeros(1, 1, 256, 128))


@pytest.mark.parametrize("frames, count", [(10, 1), (256, 1), (306, 1), (307, 2), (256 + 510, 11), (256 + 560, 11)])
def test_windows_cover_a_recording_as_the_formula_says(frames, count):
    assert identify.count_windows(frames) == count


def test_a_recording_of_any_length_is_recognised(trained, data):
    recogniser = identify.Recogniser(trained, device=CPU)
    for song, name in zip(data.songs, data.names):
        # under noise, as in training: a tone in silence is nothing that the network ever saw
        song = song + np.random.default_rng(1).normal(0, 0.04, len(song)).astype(np.float32)
        for samples in (2 * RATE, 5 * RATE, len(song)):
            found = recogniser.probabilities(song[:samples])
            frames = max(identify.WINDOW, recogniser.spectrogram.frames(samples))
            assert found.shape == (identify.count_windows(frames), 3)
            np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        found = recogniser.answer(song)
        assert found.title == next(iter(found.top)) == name and not found.is_unknown
        assert list(found.top.values()) == sorted(found.top.values(), reverse=True)


def test_below_the_threshold_it_is_an_unknown_song_and_the_likeliest_keep_their_probabilities(trained, data):
    recogniser = identify.Recogniser(trained, device=CPU)
    before = recogniser.answer(data.songs[0])
    recogniser.threshold = 1.01
    after = recogniser.answer(data.songs[0])
    assert after.title == "unknown song" and after.is_unknown and after.top == before.top


def test_a_click_elsewhere_changes_no_other_window(trained, data):
    recogniser = identify.Recogniser(trained, device=CPU)
    song = data.songs[0] + np.random.default_rng(1).normal(0, 0.04, len(data.songs[0])).astype(np.float32)
    clicked = song.copy()
    clicked[-100:] = 1.0
    one, other = recogniser.probabilities(song), recogniser.probabilities(clicked)
    np.testing.assert_allclose(one[:-1], other[:-1], atol=1e-6)


def test_of_less_than_a_second_nothing_is_said(trained):
    with pytest.raises(KitError, match="the recording of 0.5 s is too short. Record at least 1 s"):
        identify.Recogniser(trained, device=CPU).probabilities(np.ones(RATE // 2, np.float32))


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_bits(trained, data, small, tmp_path):
    folder = tmp_path / "network"
    assert not identify.train(folder, data, small, device=CPU, clock=Clock(1e-9))
    state = {"epochs": 0}

    class OneEpoch(Clock):
        def would_overrun(self, seconds):
            state["epochs"] += 1
            return state["epochs"] > 1

    assert not identify.train(folder, data, small, device=CPU, clock=OneEpoch(1))
    assert identify.train(folder, data, small, device=CPU)
    assert same_bits(trained / "member_00", folder / "member_00")


@pytest.mark.parametrize("changes, difference", [
    ({"names": ["high", "middle", "low"]}, r"names: \['low', 'middle', 'high'\], now \['high'"),
    ({"source": "others"}, "sounds: 'tones', now 'others'"),
    ({"mix": Mix(snr=(0, 5))}, r"snr: \[-5.0, 20.0\], now \[0, 5\]"),
])
def test_other_songs_or_mixes_are_another_network(trained, small, changes, difference):
    with pytest.raises(KitError, match=f"was created differently .{difference}"):
        identify.train(trained, small_data(**changes), small, device=CPU)


def test_a_folder_without_a_network_is_a_sentence(tmp_path):
    with pytest.raises(KitError, match="no network that knows songs"):
        identify.Recogniser(tmp_path)
