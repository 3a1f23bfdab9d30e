"""Levels, ratios and random draws of noise, measured on the result; and the effect of the simulated phone."""

import numpy as np
import pytest
import torch
from lab.sounds import CPU, RATE, small_data

from snippetkit.lab.identify import phone
from snippetkit.lab.identify.fragments import NoisyFragments, SoundBank
from snippetkit.lab.identify.noise import Mix, amplify, make_backgrounds, mix_at_snr, power, random_responses
from snippetkit.lab.identify.recogniser import song_recipe


@pytest.fixture(scope="module")
def sounds():
    return small_data().sounds(song_recipe(), CPU)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def snr_of(signals, mixed):
    return 10 * torch.log10(power(signals) / power(mixed - signals))[:, 0]


def test_fragments_are_pieces_of_recordings_and_short_recordings_are_repeated():
    bank = SoundBank([np.arange(10.0), 100 + np.arange(4.0)])
    fragments = bank.cut_fragments(torch.tensor([0, 1]), torch.tensor([3, 2]), 5)
    assert fragments.tolist() == [[3, 4, 5, 6, 7], [102, 103, 100, 101, 102]]
    offsets = bank.draw_offsets(torch.zeros(5000, dtype=torch.int64), 7, generator=seeded())
    assert set(offsets.tolist()) == {0, 1, 2, 3}    # seven samples of ten fit at 3, not at 4


@pytest.mark.parametrize("snr", [-10.0, 7.5, torch.tensor([3.0, -3.0, 20.0, 0.0])])
def test_mixes_have_the_requested_ratio(snr):
    signals = torch.randn(4, 110_250) * torch.linspace(0.01, 1, 4)[:, None]
    mixed = mix_at_snr(signals, torch.randn(4, 110_250) * 3, snr)
    assert (snr_of(signals, mixed) - snr).abs().max() < 0.1


def test_no_noise_is_added_to_silence_or_at_an_infinite_ratio():
    signals = torch.randn(2, 500)
    assert torch.equal(mix_at_snr(signals, torch.randn(2, 500), float("inf")), signals)
    assert torch.equal(mix_at_snr(0 * signals, torch.randn(2, 500), 0.0), 0 * signals)


def test_a_song_is_amplified_by_four_decibels_before_the_noise(sounds):
    songs = torch.arange(3)
    mixed = NoisyFragments(sounds, 1, mix=Mix().at(10)).mix_fragments(songs, seeded(5))
    offsets = sounds.songs.draw_offsets(songs, 5 * RATE, generator=seeded(5))
    pure = sounds.songs.cut_fragments(songs, offsets, 5 * RATE)
    amplified = amplify(pure, Mix().gain)
    torch.testing.assert_close(10 * torch.log10(power(amplified) / power(pure)), torch.full((3, 1), 4.0))
    assert (snr_of(amplified, mixed) - 10).abs().max() < 0.1


def test_backgrounds_have_the_drawn_number_of_layers_at_levels_within_the_range():
    bank = SoundBank([np.ones(100, np.float32)])    # each layer adds its gain
    layers = make_backgrounds(bank, 2000, 10, Mix(layers=(5, 20), gains=(0, 0)), generator=seeded())
    assert set(layers[:, 0].round().int().tolist()) == set(range(5, 21))
    gains = 20 * make_backgrounds(bank, 2000, 10, Mix(layers=(1, 1), gains=(-6, 6)), generator=seeded())[:, 0].log10()
    assert -6 <= gains.min() < -5.9 and 5.9 < gains.max() <= 6


def test_a_seed_repeats_the_mixes_and_a_generator_continues(sounds):
    def epoch(fragments, **options):
        return torch.cat([batch for batch, _ in fragments.batches(5, **options)])

    fixed, drawn, generator = NoisyFragments(sounds, 4, seed=3), NoisyFragments(sounds, 4), seeded(1)
    assert epoch(fixed).shape == (12, 1, 256, 128) and torch.equal(epoch(fixed), epoch(fixed))
    first = epoch(drawn, generator=generator)
    assert not torch.equal(first, epoch(drawn, generator=generator))
    assert torch.equal(first, epoch(drawn, generator=seeded(1)))


def test_responses_pass_a_band_and_fall_by_24_db_per_octave_outside():
    frequencies = torch.tensor([5.0, 10.0, 1000.0, 2000.0, 32_000.0, 64_000.0])
    gains = random_responses(500, frequencies, generator=seeded())
    tilt = gains[:, 3] - gains[:, 2]    # an octave that is in every band
    assert -3 <= tilt.min() < -2.9 and 2.9 < tilt.max() <= 3 and gains[:, 2].abs().max() < 1e-4
    torch.testing.assert_close(gains[:, 1] - gains[:, 0] - tilt, torch.full((500,), 24.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(gains[:, 5] - gains[:, 4] - tilt, torch.full((500,), -24.0), atol=1e-3, rtol=0)


# --- the simulated phone ---


def test_a_room_decays_by_sixty_decibels_in_its_reverberation_time():
    response = phone.room_response(RATE, rng=np.random.default_rng(0), reverberation=(0.5, 0.5), direct=(5, 5))
    assert len(response) == round(0.5 * RATE) and np.sum(response**2) == pytest.approx(1)
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(5, abs=0.01)
    energy = np.cumsum(response[:0:-1] ** 2)[::-1]     # Schroeder's backward integral
    half = len(energy) // 2
    slope = np.polyfit(np.arange(1, half + 1) / RATE, 10 * np.log10(energy[:half]), 1)[0]
    assert slope == pytest.approx(-60 / 0.5, rel=0.1)


@pytest.mark.parametrize("hz, low, high", [(50, -np.inf, -40), (1000, -0.5, 0.5), (10_000, -np.inf, -10)])
def test_the_microphone_passes_its_band(hz, low, high):
    tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)
    filtered = phone.band_pass(tone, RATE, phone.MICROPHONE)[RATE // 2 :]
    assert low < 20 * np.log10(np.std(filtered) / np.std(tone)) < high


def test_peaks_are_clipped_at_full_scale():
    tone = 0.1 * np.sin(np.linspace(0, 100, 5000))
    assert np.mean(np.abs(phone.clip_peaks(tone, 6.0)) == 1) > 0.5
    np.testing.assert_allclose(phone.clip_peaks(tone, -6.0), tone * 10 ** (-6 / 20) / np.max(np.abs(tone)))
    assert np.array_equal(phone.clip_peaks(np.zeros(9), 6.0), np.zeros(9))


def test_the_mp3_has_24_kbit_per_second_and_keeps_length_and_most_of_the_sound():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    decoded = phone.pass_through_mp3(tone, RATE)
    assert decoded.shape == tone.shape and 0.9 < np.corrcoef(decoded, tone)[0, 1] < 1 - 1e-9
    assert 20_000 < 8 * len(phone.encode_mp3(tone, RATE)) / 3 < 28_000


def test_a_seed_repeats_the_recording():
    tones = torch.sin(2 * np.pi * 440 * torch.arange(RATE) / RATE).repeat(2, 1)
    first, again, other = (phone.record_batch(tones, RATE, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])      # each row is in its own room
