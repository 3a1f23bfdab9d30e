"""The 518 numbers, against a slow computation from the formulas."""

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


def test_each_of_the_518_numbers_has_a_name(sound):
    names = handcrafted.feature_names()
    assert len(names) == len(set(names)) == 518
    assert handcrafted.clip_features(sound, RATE).shape == (518,)


def slow_features(sound):
    """All of librosa's features: dict of name to ndarray (frames, rows)."""
    padded, edges = np.pad(sound, 1024), np.pad(sound, 1024, mode="edge")
    starts, frequencies = range(0, len(sound) + 1, 512), np.arange(1025) * RATE / 2048
    window = librosa.filters.get_window("hann", 2048)
    magnitudes = np.array([np.abs(np.fft.rfft(padded[start : start + 2048] * window)) for start in starts])
    powers = magnitudes**2
    is_inner = np.where(np.arange(1025) % 1024 == 0, 0.5, 1)    # 0 Hz and half the sample rate occur once
    share = magnitudes / magnitudes.sum(axis=1, keepdims=True)
    centroid = share @ frequencies
    rolloff = [frequencies[np.flatnonzero(np.cumsum(frame) >= 0.85)[0]] for frame in share]
    signs = [np.signbit(edges[start : start + 2048]) for start in starts]
    single = {
        "rms": np.sqrt(2 * (powers * is_inner).sum(axis=1) / 2048**2), "centroid": centroid,
        "bandwidth": np.sqrt((share * (frequencies - centroid[:, None]) ** 2).sum(axis=1)), "rolloff": rolloff,
        "zero_crossing_rate": [np.mean(sign[1:] != sign[:-1]) * 2047 / 2048 for sign in signs],
    }
    return {
        **{name: np.array(values)[:, None] for name, values in single.items()},
        "mfcc": slow_cepstrum(powers), "chroma_stft": slow_chroma(powers),
        "contrast": slow_contrast(magnitudes, frequencies), **slow_harmony(constant_q(sound)),
    }


def slow_cepstrum(powers):
    """Cosines of the mel spectrum in dB, no more than 80 below the loudest."""
    levels = 10 * np.log10(np.maximum(powers @ librosa.filters.mel(sr=RATE, n_fft=2048).T, 1e-10))
    levels = np.maximum(levels, levels.max() - 80)
    angles = np.pi * (2 * np.arange(128) + 1) / 256
    cosines = np.array([np.sqrt((1 if k == 0 else 2) / 128) * np.cos(k * angles) for k in range(20)])
    return levels @ cosines.T


def slow_chroma(powers):
    """Energy of each pitch class of a frame relative to the strongest."""
    tuning = librosa.estimate_tuning(S=powers.T, sr=RATE, bins_per_octave=12)
    energy = powers @ librosa.filters.chroma(sr=RATE, n_fft=2048, tuning=tuning, n_chroma=12).T
    return energy / energy.max(axis=1, keepdims=True)


def slow_contrast(magnitudes, frequencies):
    """Peaks over valleys of seven bands an octave wide in dB; the upper bound belongs to the next band."""
    bounds, ends = [0, *(200 * 2**k for k in range(7))], []
    for k in range(7):
        first = np.flatnonzero(frequencies >= bounds[k])[0] - (k > 0)
        last = np.flatnonzero(frequencies <= bounds[k + 1])[-1] if k < 6 else len(frequencies) - 1
        some = max(1, round(0.02 * (last - first + 1)))
        frames = np.sort(magnitudes[:, first : last + (k == 6)], axis=1)
        ends.append([frames[:, -some:].mean(axis=1), frames[:, :some].mean(axis=1)])
    levels = 10 * np.log10(np.maximum(np.array(ends), 1e-10))       # (bands, 2, frames)
    levels = np.maximum(levels, levels.max(axis=(0, 2), keepdims=True) - 80)
    return (levels[:, 0] - levels[:, 1]).T


def constant_q(sound):
    return np.abs(librosa.cqt(sound, sr=RATE, hop_length=512, n_bins=84, tuning=None))


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


def test_the_constant_q_transform_is_near_its_definition(sound):
    """librosa halves the sample rate octave by octave; here every bin uses the sound itself."""
    tuning = librosa.estimate_tuning(y=sound, sr=RATE, bins_per_octave=12)
    alpha = (2 ** (1 / 6) - 1) / (2 ** (1 / 6) + 1)
    transform = constant_q(sound)
    for k, row in enumerate(transform):
        frequency = librosa.note_to_hz("C1") * 2 ** ((k + tuning) / 12)
        length = RATE / alpha / frequency
        half = int(length / 2)
        around = np.arange(-half, half + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * around / length)
        kernel = window * np.exp(-2j * np.pi * frequency * around / RATE) / window.sum() * np.sqrt(length)
        padded = np.pad(sound, half)
        direct = [abs(padded[at : at + len(around)] @ kernel) for at in range(0, len(sound) + 1, 512)]
        assert np.allclose(row, direct, atol=0.015 * transform.max()), k


def test_the_numbers_equal_a_slow_computation(sound):
    numbers = dict(zip(handcrafted.feature_names(), handcrafted.clip_features(sound, RATE)))
    features = slow_features(sound)
    assert {name: values.shape[1] for name, values in features.items()} == handcrafted.ROWS
    for feature, columns in features.items():
        for row, values in enumerate(columns.T):
            mean, deviation = values.mean(), values.std()
            expected = {
                "minimum": min(values), "maximum": max(values), "mean": mean, "median": np.median(values),
                "deviation": deviation, "skew": np.mean((values - mean) ** 3) / deviation**3,
                "kurtosis": np.mean((values - mean) ** 4) / deviation**4 - 3,
            }
            for statistic, value in expected.items():
                name = f"{feature}_{row:02d}_{statistic}"
                assert numbers[name] == pytest.approx(value, rel=2e-3, abs=2e-3), name


def test_silence_gives_finite_numbers():
    assert np.isfinite(handcrafted.clip_features(np.zeros(RATE, np.float32), RATE)).all()


def test_skew_and_kurtosis_of_a_constant_are_zero():
    assert handcrafted.summarise(np.full((1, 50), 3.0)).tolist() == [3, 3, 3, 3, 0, 0, 0]


def test_many_clips_are_cut_to_one_length(small_competition):
    paths = small_competition.train[:2]
    numbers = handcrafted.extract(paths, seconds=3.0, jobs=1)
    expected = handcrafted.clip_features(audio.load(paths[1], sample_rate=RATE, seconds=3.0), RATE)
    assert numbers.shape == (2, 518) and np.array_equal(numbers[1], expected.astype(np.float32))


@pytest.mark.parametrize("name", ["chroma_stft", "chroma_cqt", "chroma_cens"])
def test_a_tone_is_in_its_own_pitch_class(name):
    time = np.arange(2 * RATE) / RATE
    for midi in (57, 60, 69, 74):
        tone = np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * time).astype(np.float32)
        assert handcrafted.frame_features(tone, RATE)[name].mean(axis=1).argmax() == midi % 12
