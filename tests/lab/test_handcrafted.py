"""The 518 numbers, against a slow computation frame by frame."""

import librosa
import numpy as np
import pytest

from snippetkit.lab import handcrafted

RATE = 22_050


@pytest.fixture(scope="module")
def sound():
    time = np.arange(2 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.02, len(time))
    return (0.3 * np.sin(2 * np.pi * (220 + 60 * time) * time) + noise).astype(np.float32)


def test_there_are_518_with_a_name_each(sound):
    names = handcrafted.names()
    assert len(names) == len(set(names)) == 518
    assert handcrafted.numbers(sound, RATE).shape == (518,)


def slow_frames(sound):
    """What librosa computes at once, frame by frame and by the formulas."""
    padded = np.pad(sound, 1024)
    window = librosa.filters.get_window("hann", 2048)
    frequencies = np.arange(1025) * RATE / 2048
    found = {name: [] for name in ("rms", "centroid", "bandwidth", "rolloff", "zero_crossing_rate")}
    powers = []
    edges = np.pad(sound, 1024, mode="edge")
    for start in range(0, len(sound) + 1, 512):
        magnitude = np.abs(np.fft.rfft(padded[start : start + 2048] * window))
        share = magnitude / magnitude.sum()
        centroid = (share * frequencies).sum()
        power = magnitude**2
        powers.append(power.copy())
        power[0] *= 0.5
        power[-1] *= 0.5
        found["rms"].append(np.sqrt(2 * power.sum() / 2048**2))
        found["centroid"].append(centroid)
        found["bandwidth"].append(np.sqrt((share * (frequencies - centroid) ** 2).sum()))
        found["rolloff"].append(frequencies[np.flatnonzero(np.cumsum(magnitude) >= 0.85 * magnitude.sum())[0]])
        piece = edges[start : start + 2048]
        found["zero_crossing_rate"].append(np.mean(np.signbit(piece[1:]) != np.signbit(piece[:-1])) * 2047 / 2048)
    found = {f"{name}_00": np.array(values) for name, values in found.items()}
    powers = np.array(powers).T
    return {**found, **slow_cepstrum(powers), **slow_chroma(powers), **slow_contrast(np.sqrt(powers), frequencies),
            **slow_harmony(constant_q(sound))}


def slow_cepstrum(powers):
    """Cosines of the mel spectrum in dB, no more than 80 below the loudest."""
    levels = 10 * np.log10(np.maximum(librosa.filters.mel(sr=RATE, n_fft=2048) @ powers, 1e-10))
    levels = np.maximum(levels, levels.max() - 80)
    angles = np.pi * (2 * np.arange(128) + 1) / 256
    cosines = [np.sqrt((1 if k == 0 else 2) / 128) * np.cos(k * angles) for k in range(20)]
    return {f"mfcc_{k:02d}": np.array([sum(frame * each) for frame in levels.T]) for k, each in enumerate(cosines)}


def slow_chroma(powers):
    """Energy of each pitch class of a frame over that of the strongest."""
    tuning = librosa.estimate_tuning(S=powers, sr=RATE, bins_per_octave=12)
    classes = librosa.filters.chroma(sr=RATE, n_fft=2048, tuning=tuning, n_chroma=12)
    energy = np.array([[sum(row * frame) for row in classes] for frame in powers.T])
    return {f"chroma_stft_{k:02d}": column for k, column in enumerate((energy / energy.max(axis=1, keepdims=True)).T)}


def slow_contrast(magnitudes, frequencies):
    """Peaks over valleys of seven bands an octave wide, the upper bound left to the next one, in dB."""
    bounds = [0, *(200 * 2**k for k in range(7))]
    ends = []
    for k in range(7):
        first = np.flatnonzero(frequencies >= bounds[k])[0] - (k > 0)
        last = np.flatnonzero(frequencies <= bounds[k + 1])[-1] if k < 6 else len(frequencies) - 1
        some = max(1, round(0.02 * (last - first + 1)))
        frames = [sorted(frame[first : last + (k == 6)]) for frame in magnitudes.T]
        ends.append([[np.mean(frame[-some:]), np.mean(frame[:some])] for frame in frames])
    levels = 10 * np.log10(np.maximum(np.array(ends), 1e-10))
    levels = np.maximum(levels, levels.max(axis=(0, 1)) - 80)
    return {f"contrast_{k:02d}": row[:, 0] - row[:, 1] for k, row in enumerate(levels)}


def constant_q(sound):
    return np.abs(librosa.cqt(sound, sr=RATE, hop_length=512, n_bins=84, tuning=None))


def slow_harmony(transform):
    """Pitch classes of a constant-Q transform, their steps smoothed over 41 frames, and where those lie on the tori of
    fifths and of minor and major thirds."""
    classes = np.array([[sum(frame[k::12]) for k in range(12)] for frame in transform.T])
    steps = np.array([[sum(value > step for step in (0.4, 0.2, 0.1, 0.05)) / 4 for value in frame / frame.sum()]
                      for frame in classes])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(43) / 42)
    smooth = np.array([np.convolve(column, window / window.sum(), mode="full")[21:-21] for column in steps.T]).T
    smooth /= np.sqrt((smooth**2).sum(axis=1, keepdims=True))
    found = {f"chroma_cqt_{k:02d}": column for k, column in enumerate((classes / classes.max(1, keepdims=True)).T)}
    found |= {f"chroma_cens_{k:02d}": column for k, column in enumerate(smooth.T)}
    shares, semitones = smooth / smooth.sum(axis=1, keepdims=True), np.arange(12)
    for k, (radius, angle) in enumerate([(1, 7 / 6), (1, 3 / 2), (0.5, 2 / 3)]):
        for row, turned in ((2 * k, np.sin), (2 * k + 1, np.cos)):
            found[f"tonnetz_{row:02d}"] = shares @ (radius * turned(np.pi * angle * semitones))
    return found


def test_the_constant_q_transform_is_near_its_definition(sound):
    """librosa halves the rate octave by octave; here every bin looks at the sound itself."""
    tuning = librosa.estimate_tuning(y=sound, sr=RATE, bins_per_octave=12)
    alpha = (2 ** (1 / 6) - 1) / (2 ** (1 / 6) + 1)
    found = constant_q(sound)
    for k, row in enumerate(found):
        frequency = librosa.note_to_hz("C1") * 2 ** ((k + tuning) / 12)
        length = RATE / alpha / frequency
        half = int(length / 2)
        around = np.arange(-half, half + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * around / length)
        kernel = window * np.exp(-2j * np.pi * frequency * around / RATE) / window.sum() * np.sqrt(length)
        padded = np.pad(sound, half)
        direct = [abs(padded[at : at + len(around)] @ kernel) for at in range(0, len(sound) + 1, 512)]
        assert np.allclose(row, direct, atol=0.015 * found.max()), k


def test_they_equal_a_slow_computation(sound):
    numbers = dict(zip(handcrafted.names(), handcrafted.numbers(sound, RATE)))
    assert len(slow_frames(sound)) == 518 / 7
    for name, values in slow_frames(sound).items():
        mean, deviation = values.mean(), values.std()
        shape = {
            "skew": np.mean((values - mean) ** 3) / deviation**3,
            "kurtosis": np.mean((values - mean) ** 4) / deviation**4 - 3,
        }
        plain = {"minimum": min(values), "maximum": max(values), "mean": mean, "median": np.median(values)}
        for statistic, expected in {**plain, "deviation": deviation, **shape}.items():
            assert numbers[f"{name}_{statistic}"] == pytest.approx(expected, rel=2e-3, abs=2e-3), (name, statistic)


def test_silence_has_numbers_too():
    assert np.isfinite(handcrafted.numbers(np.zeros(RATE, np.float32), RATE)).all()


def test_what_never_changes_has_no_shape():
    found = handcrafted.summary(np.full((1, 50), 3.0))
    assert found.tolist() == [3, 3, 3, 3, 0, 0, 0]


@pytest.mark.parametrize("name", ["chroma_stft", "chroma_cqt", "chroma_cens"])
def test_a_tone_is_in_its_own_pitch_class(name):
    time = np.arange(2 * RATE) / RATE
    for midi in (57, 60, 69, 74):
        tone = np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * time).astype(np.float32)
        assert handcrafted.frames(tone, RATE)[name].mean(axis=1).argmax() == midi % 12
