"""A pretrained network that needs no weights worth the name: for tests of the stage that runs it."""

import numpy as np


class Embedder:
    rate = 16_000
    calls = []  # clips of each call

    def __init__(self, folder, device):
        self.folder = folder

    def encode(self, samples):
        self.calls.append(len(samples))
        return samples

    def pooled(self, samples):
        return np.stack([samples.mean(axis=1), samples.std(axis=1), np.abs(samples).max(axis=1)], axis=1)

    def frames(self, samples, *, count):
        parts = samples[:, : samples.shape[1] // count * count].reshape(len(samples), count, -1)
        return np.stack([parts.mean(axis=2), parts.std(axis=2)], axis=2)
