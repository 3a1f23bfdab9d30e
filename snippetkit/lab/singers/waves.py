"""Samples: as inputs for a network that takes them, or changed at random before features are computed."""

import random
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ... import audio
from ...dataset import SnippetDataset
from ...features.extraction import band_statistics
from ...filterbank import log_mel
from ...songs import folds
from ...training.data import TrainingData
from ...utils.artifacts import digest
from ...utils.parallel import parallel_map

SEMITONES = 1.0         # most that the pitch is shifted; more would make a male voice sound female
STRETCH = 0.9, 1.1
NOISE = 10.0, 40.0      # signal-to-noise ratio, dB
RATE = 8_000            # Hz, of samples as inputs of a network


def load_samples(paths, *, sample_rate=RATE, seconds=3.0, load=audio.load, jobs=-1):
    """Decode clips as features with one band.

    Parameters
    ----------
    paths : sequence of path-like
    sample_rate : int, in Hz
    seconds : float
    load : callable
        Has the parameters of `audio.load`.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, samples, 1), float32
        Each clip has mean square 1, so that loudness carries no information.
    """
    load = partial(load, sample_rate=sample_rate, seconds=seconds)
    signals = np.stack(parallel_map(load, paths, jobs=jobs, title="samples"))
    loudness = np.sqrt(np.mean(signals**2, axis=1, keepdims=True))
    return (signals / np.maximum(loudness, 1e-6))[..., None].astype(np.float32)


def make_versions(paths, recipe, count, *, seed=0, jobs=-1):
    """Features of clips that audiomentations stretched, shifted in pitch and laid under noise.

    Parameters
    ----------
    paths : sequence of path-like
        Of the train clips.
    recipe : Recipe
    count : int
        Versions of each clip.
    seed : int
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (count, clips, frames, bands), float32
    """
    def change(path, number):
        return _change(path, recipe, count, [seed, number])

    versions = parallel_map(change, paths, range(len(paths)), jobs=jobs, title=f"{count} versions")
    return np.stack(versions, axis=1)


def _change(path, recipe, count, seed):
    from audiomentations import AddGaussianSNR, Compose, PitchShift, TimeStretch

    change = Compose([
        TimeStretch(*STRETCH, leave_length_unchanged=True, p=0.5),
        PitchShift(-SEMITONES, SEMITONES, p=0.5),
        AddGaussianSNR(*NOISE, p=0.5),
    ])
    signal = audio.load(path, sample_rate=recipe.sample_rate, seconds=recipe.seconds, length=recipe.length)
    # mirrored at its end, or a clip that is played faster would end in silence
    longer = np.pad(signal, (0, len(signal) // 8), mode="reflect")
    # audiomentations draws from the global generators, which are restored for other code
    states = random.getstate(), np.random.get_state()
    random.seed(repr(seed))
    np.random.seed(np.random.SeedSequence(seed).generate_state(1)[0])
    changed = [change(longer, sample_rate=recipe.sample_rate)[: len(signal)] for _ in range(count)]
    random.setstate(states[0])
    np.random.set_state(states[1])
    return np.stack([log_mel(version, recipe) for version in changed]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class VersionedData(TrainingData):
    """Training data with several versions of each train clip; made as ``VersionedData(**vars(data), versions=…)``.

    Every epoch draws one version of each clip anew.

    Attributes
    ----------
    versions : ndarray, shape (versions, clips, frames, bands)
        Besides the original clips, which count as one more version.
    """

    versions: np.ndarray

    def fingerprint(self, recipe):
        return digest([super().fingerprint(recipe), list(self.versions.shape), float(self.versions.sum())])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with versions in the training set."""
        original, valid, test = super().datasets(recipe, member, device)
        rows, _ = folds.split(self, recipe, member)
        statistics = band_statistics(self.train.array[rows]) if recipe.standardise else None
        options = {"device": device.name, "statistics": statistics, "channels": recipe.channels}
        changed = [SnippetDataset(version[rows], self.labels[rows], **options) for version in self.versions]
        return _Versions([original, *changed]), valid, test


class _Versions:
    """Datasets of the same clips; one of them is drawn for each clip of a batch."""

    def __init__(self, datasets):
        self._features = torch.stack([dataset.features for dataset in datasets])
        self.labels = datasets[0].labels

    def __len__(self):
        return len(self.labels)

    def batches(self, size, *, order=None, generator=None):
        order = torch.arange(len(self)) if order is None else order
        for rows in order.to(self.labels.device).split(size):
            version = torch.randint(len(self._features), (len(rows),), generator=generator)
            yield self._features[version.to(rows.device), rows], self.labels[rows]
