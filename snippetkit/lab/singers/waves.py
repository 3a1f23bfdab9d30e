"""Samples themselves: as they are, for a network that takes them, or changed before anything is computed of them.

A network is shown a version of a clip that is drawn anew in every epoch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from joblib import Parallel, delayed

from ... import audio
from ...dataset import SnippetDataset
from ...features.extraction import band_statistics
from ...filterbank import log_mel
from ...songs import folds
from ...utils.artifacts import digest
from ...utils.progress import progress
from .standing import StandIn

SEMITONES = 1.0         # more would make a man of a woman
STRETCH = 0.9, 1.1
NOISE = 10.0, 40.0      # dB of signal to noise


RATE = 8_000            # Hz, of samples that a network takes as they are


def of_clips(paths, *, sample_rate=RATE, seconds=3.0, jobs=-1):
    """Samples of many clips of one length.

    Parameters
    ----------
    paths : sequence of path-like
    sample_rate : int, in Hz
    seconds : float
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, samples, 1), float32
        A clip whose frames are its samples, with one band; mean square 1, so that loudness tells nothing.
    """
    waiting = Parallel(jobs, return_as="generator")(
        delayed(audio.load)(path, sample_rate=sample_rate, seconds=seconds) for path in paths
    )
    signals = np.stack(list(progress(waiting, total=len(paths), title="samples", unit="clip")))
    loudness = np.sqrt(np.mean(signals**2, axis=1, keepdims=True))
    return (signals / np.maximum(loudness, 1e-6))[..., None].astype(np.float32)


def versions(paths, recipe, count, *, seed=0, jobs=-1):
    """Features of clips that were changed at random, by audiomentations.

    Parameters
    ----------
    paths : sequence of path-like
        Of the train clips.
    recipe : Recipe
    count : int
        Versions of each clip.
    seed : int
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (count, clips, frames, bands), float32
    """
    waiting = Parallel(jobs, return_as="generator")(
        delayed(_versions)(path, recipe, count, [seed, i]) for i, path in enumerate(paths)
    )
    found = progress(waiting, total=len(paths), title=f"{count} versions", unit="clip")
    return np.stack(list(found), axis=1)


def _versions(path, recipe, count, seed):
    import random

    from audiomentations import AddGaussianSNR, Compose, PitchShift, TimeStretch

    change = Compose([
        TimeStretch(*STRETCH, leave_length_unchanged=True, p=0.5),
        PitchShift(-SEMITONES, SEMITONES, p=0.5),
        AddGaussianSNR(*NOISE, p=0.5),
    ])
    signal = audio.load(path, sample_rate=recipe.sample_rate, seconds=recipe.seconds)
    # mirrored at its end, so that a clip that is played faster does not end in silence
    longer = np.pad(signal, (0, len(signal) // 8), mode="reflect")
    # audiomentations draws from the global generators; who else draws from them finds them as they were
    before = random.getstate(), np.random.get_state()
    random.seed(repr(seed))
    np.random.seed(np.random.SeedSequence(seed).generate_state(1)[0])
    changed = [change(longer, sample_rate=recipe.sample_rate)[: len(signal)] for _ in range(count)]
    random.setstate(before[0])
    np.random.set_state(before[1])
    return np.stack([log_mel(each, recipe) for each in changed]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Varied(StandIn):
    """Training data whose train clips come in several versions; it stands where `members.TrainingData` stands.

    Attributes
    ----------
    versions : ndarray, shape (versions, clips, frames, bands)
        Besides the clips as they are, which count as one version more.
    """

    versions: np.ndarray

    def fingerprint(self, recipe):
        return digest([self.data.fingerprint(recipe), list(self.versions.shape), float(self.versions.sum())])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with versions to train on."""
        _, valid, test = self.data.datasets(recipe, member, device)
        rows, _ = folds.split(self.data, recipe, member)
        arrays = [self.data.train.array[rows], *(each[rows] for each in self.versions)]
        statistics = band_statistics(arrays[0]) if recipe.standardise else None
        options = {"device": device.name, "statistics": statistics, "channels": recipe.channels}
        return _Versions([SnippetDataset(each, self.data.labels[rows], **options) for each in arrays]), valid, test


class _Versions:
    """Data sets of the same clips, one of which is drawn for each clip of a batch."""

    def __init__(self, datasets):
        self._datasets = datasets
        self.labels = datasets[0].labels

    def __len__(self):
        return len(self.labels)

    def batches(self, size, *, order=None, generator=None):
        order = torch.arange(len(self)) if order is None else order
        for rows in order.to(self.labels.device).split(size):
            version = torch.randint(len(self._datasets), (len(rows),), generator=generator)
            features = torch.stack([
                self._datasets[number].features[row] for number, row in zip(version.tolist(), rows.tolist())
            ])
            yield features, self.labels[rows]
