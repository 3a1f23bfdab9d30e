"""The 518 numbers, against a slow computation."""

import librosa
import numpy as np
import pytest

from snippetkit import audio
from snippetkit.lab import handcrafted

RATE = 22_050


@pytest.fixture(scope="module")
def sound():
    time = np.arange(2 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.02, len(time))
    return (0.3 * np.sin(2 * np.pi * (220 + 60 * time) * time) + noise).astype(np.float32)


def slow_features(sound):
    """The features frame by frame, without the spectra that they share in the kit: dict of name to (frames, rows)."""
    padded, extended = (
        librosa.util.frame(np.pad(sound, 1024, mode=mode), frame_length=2048, hop_length=512).T
        for mode in ("constant", "edge")
    )
    spectral = {
        "mfcc": librosa.feature.mfcc, "chroma_stft": librosa.feature.chroma_stft,
        "spectral_contrast": librosa.feature.spectral_contrast, "spectral_centroid": librosa.feature.spectral_centroid,
        "spectral_bandwidth": librosa.feature.spectral_bandwidth, "spectral_rolloff": librosa.feature.spectral_rolloff,
    }
    return {
        **{name: compute(y=sound, sr=RATE).T for name, compute in spectral.items()},
        "rmse": np.sqrt(np.mean((padded * librosa.filters.get_window("hann", 2048)) ** 2, axis=1, keepdims=True)),
        "zcr": np.diff(np.signbit(extended), axis=1).sum(axis=1, keepdims=True) / 2048,
        **slow_harmony(np.abs(librosa.cqt(sound, sr=RATE, hop_length=512, n_bins=84, tuning=None))),
    }


def slow_harmony(transform):
    """Pitch classes of a constant-Q transform, their steps smoothed over 41 frames, and the positions of those on the
    tori of fifths and of minor and major thirds."""
    classes = np.array([transform[k::12].sum(axis=0) for k in range(12)]).T
    share = classes / classes.sum(axis=1, keepdims=True)
    steps = np.mean([share > step for step in (0.4, 0.2, 0.1, 0.05)], axis=0)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(43) / 42)
    smooth = np.array([np.convolve(column, window / window.sum(), mode="full")[21:-21] for column in steps.T]).T
    smooth /= np.sqrt((smooth**2).sum(axis=1, keepdims=True))
    tori = [(1, 7 / 6, np.sin), (1, 7 / 6, np.cos), (1, 3 / 2, np.sin), (1, 3 / 2, np.cos), (0.5, 2 / 3, np.sin),
            (0.5, 2 / 3, np.cos)]
    positions = np.array([radius * turn(np.pi * angle * np.arange(12)) for radius, angle, turn in tori])
    return {
        "chroma_cqt": classes / classes.max(axis=1, keepdims=True), "chroma_cens": smooth,
        "tonnetz": smooth / smooth.sum(axis=1, keepdims=True) @ positions.T,
    }


def test_the_numbers_equal_a_slow_computation(sound):
    numbers = dict(zip(handcrafted.feature_names(), handcrafted.clip_features(sound, RATE), strict=True))
    expected = {}
    for feature, columns in slow_features(sound).items():
        for row, values in enumerate(columns.T, 1):
            mean, deviation = values.mean(), values.std()
            statistics = {
                "min": min(values), "max": max(values), "mean": mean, "median": np.median(values),
                "std": deviation, "skew": np.mean((values - mean) ** 3) / deviation**3,
                "kurtosis": np.mean((values - mean) ** 4) / deviation**4 - 3,
            }
            expected |= {(feature, statistic, f"{row:02d}"): value for statistic, value in statistics.items()}
    assert len(numbers) == 518 and numbers == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_silence_and_constants_give_finite_numbers():
    assert np.isfinite(handcrafted.clip_features(np.zeros(RATE, np.float32), RATE)).all()
    assert handcrafted.summarise(np.full((1, 50), 3.0)).tolist() == [0, 3, 3, 3, 3, 0, 0]


def test_many_clips_are_cut_to_one_length(small_competition):
    paths = small_competition.train[:2]
    numbers = handcrafted.extract(paths, seconds=3.0, jobs=1)
    expected = handcrafted.clip_features(audio.load(paths[1], sample_rate=RATE, seconds=3.0), RATE)
    assert numbers.shape == (2, 518) and np.array_equal(numbers[1], expected.astype(np.float32))
