"""Levels, ratios and draws of noise, measured on what comes out; and what the simulated phone does to a sound."""

import numpy as np
import pytest
import torch
from lab.sounds import RATE, noises, songs

from snippetkit.lab.identify import phone
from snippetkit.lab.identify.bank import Bank
from snippetkit.lab.identify.fragments import NoisyFragments, Sounds
from snippetkit.lab.identify.noise import Mix, ambience, amplify, decibels, microphones, mix_at_snr, power
from snippetkit.lab.identify.recogniser import recipe
from snippetkit.lab.spectrogram import MelSpectrogram


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_fragment_is_a_piece_of_its_recording_and_a_short_recording_begins_again():
    bank = Bank([np.arange(10.0), 100 + np.arange(4.0)])
    cut = bank.cut(torch.tensor([0, 1]), torch.tensor([3, 2]), 5)
    assert cut.tolist() == [[3, 4, 5, 6, 7], [102, 103, 100, 101, 102]]
    places = bank.draw(torch.zeros(5000, dtype=torch.int64), 7, generator=seeded())
    assert set(places.tolist()) == {0, 1, 2, 3}     # the last at which seven samples of ten fit


@pytest.mark.parametrize("ratio", [-10.0, 0.0, 7.5, 20.0])
def test_the_ratio_is_what_was_asked_for(ratio):
    signals, background = torch.randn(6, 110_250) * torch.linspace(0.01, 1, 6)[:, None], torch.randn(6, 110_250) * 3
    mixed = mix_at_snr(signals, background, ratio)
    measured = decibels(power(signals) / power(mixed - signals))
    assert (measured - ratio).abs().max() < 0.1


def test_at_an_infinite_ratio_there_is_no_noise():
    signals = torch.randn(2, 500)
    assert torch.equal(mix_at_snr(signals, torch.randn(2, 500), float("inf")), signals)


def test_each_signal_gets_its_own_ratio_and_silence_gets_no_noise():
    signals = torch.cat([torch.randn(2, 5000), torch.zeros(1, 5000)])
    mixed = mix_at_snr(signals, torch.randn(3, 5000), torch.tensor([3.0, -3.0, 0.0]))
    measured = decibels(power(signals) / power(mixed - signals))[:2, 0]
    torch.testing.assert_close(measured, torch.tensor([3.0, -3.0]), atol=0.1, rtol=0)
    assert torch.equal(mixed[2], torch.zeros(5000))


def test_four_decibels_louder_are_four_decibels():
    signals = torch.randn(3, 5000)
    torch.testing.assert_close(decibels(power(amplify(signals, 4.0)) / power(signals)), torch.full((3, 1), 4.0))


def test_a_background_has_as_many_layers_as_drawn_at_levels_within_their_bounds():
    bank = Bank([np.ones(100, np.float32)])     # each layer adds its gain, and nothing else
    heard = ambience(bank, 2000, 10, Mix(layers=(5, 20), gains=(0, 0)), generator=seeded())
    assert set(heard[:, 0].round().int().tolist()) == set(range(5, 21))
    one = ambience(bank, 2000, 10, Mix(layers=(1, 1), gains=(-6, 6)), generator=seeded())[:, 0]
    gains = 20 * one.log10()
    assert -6 <= gains.min() < -5.9 and 5.9 < gains.max() <= 6


def test_the_same_seed_mixes_the_same_and_a_generator_goes_on():
    sounds = Sounds(
        songs=Bank(songs()), noises=Bank(noises()), spectrogram=MelSpectrogram(recipe()), samples=5 * RATE,
    )
    fixed = NoisyFragments(sounds, 4, seed=3)
    first, again = (torch.cat([batch for batch, _ in fixed.batches(5)]) for _ in range(2))
    assert first.shape == (12, 1, 256, 128) and torch.equal(first, again)
    drawn, generator = NoisyFragments(sounds, 4), seeded(1)
    one, two = (torch.cat([batch for batch, _ in drawn.batches(5, generator=generator)]) for _ in range(2))
    assert not torch.equal(one, two)
    generator = seeded(1)
    assert torch.equal(one, torch.cat([batch for batch, _ in drawn.batches(5, generator=generator)]))


def test_a_song_is_four_decibels_louder_and_the_noise_follows_it():
    sounds = Sounds(songs=Bank(songs()), noises=Bank(noises()), spectrogram=None, samples=5 * RATE)
    which = torch.arange(3)
    mixed = NoisyFragments(sounds, 1, mix=Mix().at(10)).mixed(which, seeded(5))
    generator = seeded(5)
    pure = sounds.songs.cut(which, sounds.songs.draw(which, 5 * RATE, generator=generator), 5 * RATE)
    noise = mixed - amplify(pure, Mix().gain)
    measured = decibels(power(amplify(pure, Mix().gain)) / power(noise))
    assert (measured - 10).abs().max() < 0.1


def test_microphones_pass_a_band_and_fall_by_24_db_an_octave_beyond():
    frequencies = torch.tensor([5.0, 10.0, 1000.0, 2000.0, 32_000.0, 64_000.0])
    gains = microphones(500, frequencies, generator=seeded())
    tilt = gains[:, 3] - gains[:, 2]    # an octave within every band
    assert -3 <= tilt.min() < -2.9 and 2.9 < tilt.max() <= 3 and gains[:, 2].abs().max() < 1e-4
    torch.testing.assert_close(gains[:, 1] - gains[:, 0] - tilt, torch.full((500,), 24.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(gains[:, 5] - gains[:, 4] - tilt, torch.full((500,), -24.0), atol=1e-3, rtol=0)


# --- the simulated phone ---


def test_a_room_decays_by_sixty_decibels_in_its_time():
    response = phone.room(RATE, rng=np.random.default_rng(0), reverberation=(0.5, 0.5), direct=(5, 5))
    assert len(response) == round(0.5 * RATE) and np.sum(response**2) == pytest.approx(1)
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(5, abs=0.01)
    energy = np.cumsum(response[:0:-1] ** 2)[::-1]     # Schroeder's backward integral
    time = np.arange(1, len(response)) / RATE
    inner = slice(0, len(energy) // 2)
    slope = np.polyfit(time[inner], 10 * np.log10(energy[inner]), 1)[0]
    assert slope == pytest.approx(-60 / 0.5, rel=0.1)


@pytest.mark.parametrize("hz, change", [(50, -40), (1000, 0), (10_000, -10)])
def test_a_microphone_passes_its_band(hz, change):
    tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)
    heard = phone.microphone(tone, RATE)[RATE // 2 :]
    level = 20 * np.log10(np.std(heard) / np.std(tone))
    assert level == pytest.approx(0, abs=0.5) if change == 0 else level < change


def test_peaks_are_cut_at_full_scale():
    tone = 0.1 * np.sin(np.linspace(0, 100, 5000))
    assert np.mean(np.abs(phone.clipped(tone, 6.0)) == 1) > 0.5
    np.testing.assert_allclose(phone.clipped(tone, -6.0), tone * 10 ** (-6 / 20) / np.max(np.abs(tone)))
    assert np.array_equal(phone.clipped(np.zeros(9), 6.0), np.zeros(9))


def test_an_mp3_keeps_length_and_most_of_the_sound():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    heard = phone.through_mp3(tone, RATE)
    assert heard.shape == tone.shape
    assert np.corrcoef(heard, tone)[0, 1] > 0.9
    encoded = phone.encoded(tone, RATE)
    assert 20_000 < 8 * len(encoded) / 3 < 28_000      # bits a second
    assert not np.array_equal(heard, tone.astype(np.float32))


def test_the_same_seed_records_the_same():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    one, again, other = (phone.recorded(tone, RATE, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
