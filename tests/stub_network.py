"""A pretrained network that needs no weights worth the name: for tests of the stage that runs it."""

import numpy as np


class Embedder:
    rate = 16_000
    calls = []  # clips of each call

    def __init__(self, folder, device):
        self.folder = folder

    def pooled(self, samples):
        self.calls.append(len(samples))
        return np.stack([samples.mean(axis=1), samples.std(axis=1), np.abs(samples).max(axis=1)], axis=1)
