"""The filterbank against the published code, closed formulas and librosa's mel scale."""

import runpy
from pathlib import Path

import librosa
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from snippetkit import audio, filterbank
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def noisy_chirp():
    time = np.arange(48_000) / 16_000
    noise = np.random.default_rng(0).normal(size=48_000)
    return 0.4 * np.sin(2 * np.pi * (100 + 1200 * time) * time) + 0.01 * noise


def test_features_equal_the_published_code(noisy_chirp, monkeypatch):
    folder = Path(__file__).with_name("benchmarks")
    monkeypatch.syspath_prepend(folder)
    published_features = runpy.run_path(folder / "features.py")["published_features"]   # of the benchmark
    np.testing.assert_allclose(filterbank.log_mel(noisy_chirp), published_features(noisy_chirp, 16_000), atol=1e-5)


@pytest.mark.parametrize("samples, frames", [
    (1, 1), (399, 1), (400, 1), (401, 2), (560, 2), (561, 3), (48_000, 299), (48_001, 299), (96_000, 599),
])
def test_number_of_frames(samples, frames):
    framed = filterbank.frame(np.ones(samples))
    assert framed.shape == (frames, 400) and framed.sum() >= samples    # no sample is lost
    assert filterbank.log_mel(np.ones(samples)).shape == (frames, 40)
    assert filterbank.shape_of(samples, Recipe.published()) == (frames, 40)


def test_last_frame_is_zero_padded_and_a_fitting_signal_is_not_copied():
    last = filterbank.frame(np.ones(48_000))[-1]
    assert last.tolist() == [1.0] * (48_000 - 298 * 160) + [0.0] * (298 * 160 + 400 - 48_000)
    signal = np.ones(560)
    assert np.shares_memory(filterbank.frame(signal), signal)


def test_mel_triangles_have_the_published_corners():
    expected = [0, 2, 5, 9, 12, 16, 19, 24, 28, 33, 38, 43, 48, 54, 61, 67, 74, 82, 90, 99, 108, 118, 128, 139, 151,
                163, 176, 190, 205, 221, 238, 256, 275, 295, 317, 340, 364, 390, 418, 447, 478, 512]
    assert filterbank.mel_corners().tolist() == expected
    triangles = filterbank.mel_triangles()
    assert triangles.shape == (40, 513) and (triangles[np.arange(40), expected[1:-1]] == 1).all()
    for weights, left, right in zip(triangles, expected, expected[2:]):
        assert np.flatnonzero(weights).tolist() == list(range(left + 1, right))


def test_edge_of_the_range_keeps_its_bin():
    # the conversion of 8000 Hz to mel and back may give slightly less, and floor would then give the bin below
    for f_max in (4000.0, 6000.0, 7500.0, 8000.0):
        assert filterbank.mel_corners(f_max=f_max)[-1] == f_max * 1024 / 16_000


def test_mel_scale_has_the_values_of_the_formula_and_of_librosa():
    hertz = np.array([60.0, 700, 3000, 7999])
    np.testing.assert_allclose(filterbank.hz_to_mel(hertz), librosa.hz_to_mel(hertz, htk=True), rtol=1e-12)
    np.testing.assert_allclose(filterbank.mel_to_hz(filterbank.hz_to_mel([0.0, 55, 8000])), [0, 55, 8000], atol=1e-9)


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 129, 299])
def test_features_in_blocks_have_the_same_bits_as_all_frames_at_once(frames):
    signal = np.random.default_rng(frames).normal(size=400 + 160 * (frames - 1)) * 0.1
    pieces = filterbank.frame(filterbank.preemphasise(signal))
    # several threads of BLAS would split a product by its size and add in another order
    with threadpool_limits(1):
        at_once = filterbank.power_spectrum(pieces) @ filterbank.mel_triangles().T
        assert np.array_equal(filterbank.log_mel(signal), filterbank.decibels(at_once))


def test_batch_equals_single_clips(noisy_chirp):
    batch = np.stack([noisy_chirp, noisy_chirp[::-1], np.zeros(48_000)]).astype(np.float32)
    assert np.array_equal(filterbank.log_mel(batch), [filterbank.log_mel(clip) for clip in batch])


def test_too_many_bands_are_refused():
    with pytest.raises(KitError, match="band .* of 400 contains no bin .*n_fft"):
        filterbank.mel_triangles(n_mels=400)


# --- the log-frequency scale, two spectra, fewer frames ---

TWO = Recipe.published().with_values(
    sample_rate=22_050, preemphasis=0, frame_length=2048, n_fft=2048, second_n_fft=8192, hop=512, pool=2,
    window="hann", scale="log", n_mels=168, f_min=63.5, f_max=8372, floor=1e-10,
)


def test_log_triangles_are_as_wide_as_a_semitone_step_or_the_resolution_of_the_fft():
    corners = np.geomspace(63.5, 8372, 170)
    for n_fft in (2048, 8192):
        triangles = filterbank.log_triangles(n_bands=168, n_fft=n_fft, sample_rate=22_050, f_min=63.5, f_max=8372)
        np.testing.assert_allclose(triangles.sum(axis=1), 1)
        hz, width = np.fft.rfftfreq(n_fft, 1 / 22_050), 22_050 / n_fft
        assert np.abs(triangles @ hz / corners[1:-1] - 1).max() < 0.1
        inside = np.where(triangles > 0, hz, np.nan)
        assert (np.nanmin(inside, axis=1) > np.minimum(corners[:-2], corners[1:-1] - width) - 1e-6).all()
        assert (np.nanmax(inside, axis=1) < np.maximum(corners[2:], corners[1:-1] + width) + 1e-6).all()


@pytest.mark.parametrize("channel, apart", [(0, False), (1, True)])
def test_longer_frames_separate_two_tones_that_the_shorter_ones_do_not(channel, apart):
    time = np.arange(66_150) / 22_050
    low, high = 262, 278
    levels = filterbank.log_mel(np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time), TWO)
    centres = np.geomspace(63.5, 8372, 170)[1:-1]
    both = levels[10:-10, 168 * channel : 168 * (channel + 1)].mean(axis=0)
    between = np.abs(centres - (low + high) / 2).argmin()
    peaks = [both[np.abs(centres - tone).argmin()] for tone in (low, high)]
    assert (min(peaks) - both[between] > 6) == apart


def test_both_spectra_have_the_same_centre_in_time():
    signal = np.zeros(66_150)
    signal[33_075] = 1
    energy = 10 ** (filterbank.log_mel(signal, TWO.with_values(pool=1)) / 20)
    for loudness in energy.reshape(-1, 2, 168).sum(axis=2).T:
        centre = np.average(np.arange(len(loudness)), weights=loudness) * 512 + 1024
        assert abs(centre - 33_075) < 300


def test_pooled_frames_are_averages_and_have_the_announced_shape():
    signal = np.random.default_rng(0).normal(size=66_150)
    levels = {pool: filterbank.log_mel(signal, TWO.with_values(pool=pool)) for pool in (1, 2, 4, 1000)}
    np.testing.assert_allclose(levels[4][3], levels[1][12:16].mean(axis=0))
    for pool, pooled in levels.items():
        assert pooled.shape == filterbank.shape_of(66_150, TWO.with_values(pool=pool))


def test_floor_raises_smaller_energies_only():
    energy = np.array([0, 1e-12, 1e-10, 1e-3])
    assert filterbank.decibels(energy, floor=1e-10).tolist() == [-200, -200, -200, -60]
    assert filterbank.decibels(energy)[1] == -240


def test_hann_window_has_the_values_of_the_formula():
    frames = np.ones((1, 9))
    expected = np.abs(np.fft.rfft(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(9) / 8), 16)) ** 2 / 16
    np.testing.assert_allclose(filterbank.power_spectrum(frames, n_fft=16, window="hann")[0], expected, atol=1e-12)


def test_float32_stays_and_differs_by_some_thousandths_of_a_decibel(small_competition):
    for clip in small_competition.train[:8]:
        signal = audio.load(clip)
        fast, exact = filterbank.log_mel(signal), filterbank.log_mel(signal.astype(np.float64))
        assert (signal.dtype, fast.dtype, exact.dtype) == (np.float32, np.float32, np.float64)
        np.testing.assert_allclose(fast, exact, rtol=0, atol=5e-3)
        np.testing.assert_array_equal(filterbank.log_mel(np.stack([signal, signal[::-1]]))[0], fast)
