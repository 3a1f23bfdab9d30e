"""MP3s to features: the published code reimplemented without optimisation, snippetkit, and decoding alone."""

import tempfile
from pathlib import Path

import librosa
import numpy as np
from joblib import Parallel, delayed
from side_by_side import benchmark, timed

from snippetkit import audio
from snippetkit.data import competition
from snippetkit.features.extraction import BLOCK, extract
from snippetkit.recipe import Recipe
from snippetkit.vocals.clips import Sources

RECIPE = Recipe.published().with_values(separator="none")


def read_clips(data):
    """The paths of all clips. Each file is read once, so that the disk cache is warm for every implementation."""
    files = competition.find(data)
    clips = [*files.train, *files.test]
    for path in clips:
        path.read_bytes()
    return clips


def published_features(signal, rate):
    """As in the published notebook, rewritten: with loops, and with filters that are computed again for each clip."""
    emphasised = np.append(signal[0], signal[1:] - 0.97 * signal[:-1])
    frames = 1 + int(np.ceil((len(emphasised) - 400) / 160))
    padded = np.append(emphasised, np.zeros((frames - 1) * 160 + 400 - len(emphasised)))
    places = np.tile(np.arange(400), (frames, 1)) + np.tile(np.arange(frames) * 160, (400, 1)).T
    power = np.abs(np.fft.rfft(padded[places] * np.hamming(400), 1024)) ** 2 / 1024
    mels = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), 42)
    bins = np.floor(1024 * 700 * (10 ** (mels / 2595) - 1) / rate).astype(int)
    triangles = np.zeros((40, 513))
    for band, (left, peak, right) in enumerate(zip(bins[:-2], bins[1:-1], bins[2:])):
        for k in range(left, peak):
            triangles[band, k] = (k - left) / (peak - left)
        for k in range(peak, right):
            triangles[band, k] = (right - k) / (right - peak)
    energy = power @ triangles.T
    return 20 * np.log10(np.where(energy == 0, np.finfo(float).eps, energy))


def published(data):
    clips = read_clips(data)
    with tempfile.TemporaryDirectory() as folder:
        def save_all(clips=clips):
            for i, clip in enumerate(clips):
                np.savez(Path(folder, f"{i}feature.npz"), published_features(*librosa.load(clip, sr=16_000)))

        # librosa imports and compiles at its first clip
        return timed(save_all, len(clips), warm_up=lambda: save_all(clips[:1]))


def kit(data):
    clips = dict(enumerate(read_clips(data)))
    sources = Sources(clips, clips, {}, {}, fingerprint="")
    with tempfile.TemporaryDirectory() as folder:
        return timed(lambda: extract(sources, Path(folder, "train.npy"), RECIPE), len(clips))


def decoding(data):
    clips = read_clips(data)
    tasks = [delayed(decode)(clips[start : start + BLOCK]) for start in range(0, len(clips), BLOCK)]
    return timed(lambda: Parallel(-1)(tasks), len(clips))


def decode(clips):
    for clip in clips:
        audio.load(clip)


if __name__ == "__main__":
    benchmark({
        "published, one process": published, "kit, all cores": kit, "decode and resample alone, all cores": decoding,
    }, unit="clip", floor="decode and resample alone, all cores", doc=__doc__)
