"""MP3s to features: the published code rewritten plainly, snippetkit, and decoding alone."""

import tempfile
from pathlib import Path

import librosa
import numpy as np
from joblib import Parallel, delayed
from side_by_side import Stopwatch, benchmark

from snippetkit import audio
from snippetkit.data import competition
from snippetkit.features.extraction import BLOCK, extract
from snippetkit.recipe import Recipe
from snippetkit.vocals.clips import Sources

RECIPE = Recipe.published().with_values(separator="none")


def read_clips(data):
    """The paths of all clips. Each file is read once, so that the disk cache is warm for every way."""
    found = competition.find(data)
    clips = [*found.train, *found.test]
    for path in clips:
        path.read_bytes()
    return clips


def published_features(clip):
    """As in the published notebook, rewritten: with loops, and with filters that are computed again for each clip."""
    signal, rate = librosa.load(clip, sr=16_000)
    emphasised = np.append(signal[0], signal[1:] - 0.97 * signal[:-1])
    frames = 1 + int(np.ceil((len(emphasised) - 400) / 160))
    padded = np.append(emphasised, np.zeros((frames - 1) * 160 + 400 - len(emphasised)))
    places = np.tile(np.arange(400), (frames, 1)) + np.tile(np.arange(frames) * 160, (400, 1)).T
    power = np.abs(np.fft.rfft(padded[places] * np.hamming(400), 1024)) ** 2 / 1024
    mels = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), 42)
    bins = np.floor(1024 * 700 * (10 ** (mels / 2595) - 1) / rate)
    triangles = np.zeros((40, 513))
    for band in range(1, 41):
        left, peak, right = int(bins[band - 1]), int(bins[band]), int(bins[band + 1])
        for k in range(left, peak):
            triangles[band - 1, k] = (k - left) / (peak - left)
        for k in range(peak, right):
            triangles[band - 1, k] = (right - k) / (right - peak)
    energy = power @ triangles.T
    return 20 * np.log10(np.where(energy == 0, np.finfo(float).eps, energy))


def published(data):
    clips = read_clips(data)
    published_features(clips[0])    # librosa imports and compiles at its first clip
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as watch:
        for i, clip in enumerate(clips):
            np.savez(Path(folder, f"{i}feature.npz"), published_features(clip))
    return watch, len(clips)


def kit(data):
    clips = dict(enumerate(read_clips(data)))
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as watch:
        extract(Sources(clips, clips, {}, {}, fingerprint=""), Path(folder, "train.npy"), RECIPE)
    return watch, len(clips)


def decoding(data):
    clips = read_clips(data)
    with Stopwatch() as watch:
        Parallel(-1)(delayed(decode)(clips[start : start + BLOCK]) for start in range(0, len(clips), BLOCK))
    return watch, len(clips)


def decode(clips):
    for clip in clips:
        audio.load(clip)


main = benchmark("features", {
    "published, one process": published,
    "kit, all cores": kit,
    "decode and resample alone, all cores": decoding,
}, unit="clip", floor="decode and resample alone, all cores", rounds=3, doc=__doc__)

if __name__ == "__main__":
    main()
