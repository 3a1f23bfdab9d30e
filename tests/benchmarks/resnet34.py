"""What the benchmarks of networks share: the published recipe, its ResNet34, and random clips on the first device."""

import numpy as np
import torch

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training import checkpoint
from snippetkit.training.epoch import train_one_epoch
from snippetkit.utils.hardware import find_devices
from snippetkit.utils.progress import progress

RECIPE = Recipe.published()
DEVICE = find_devices()[0]
CLASSES = 4


def random_clips(count):
    """Features and labels; the time does not depend on their content."""
    generator = np.random.default_rng(0)
    return generator.normal(-60, 20, (count, 299, 40)).astype(np.float32), generator.integers(0, CLASSES, count)


def random_dataset(count):
    return SnippetDataset(*random_clips(count), device=DEVICE.name)


def fixed_batch(count):
    """The features and the labels of a batch as tensors on the device."""
    features, labels = (torch.tensor(values, device=DEVICE.name) for values in random_clips(count))
    return features[:, None].contiguous(memory_format=DEVICE.memory_format), labels


def new_state(batches):
    """A member before its first epoch, which has this number of batches."""
    return checkpoint.new_state({"member": 0}, RECIPE, seed=0, batches=batches, classes=CLASSES, device=DEVICE)


def train(state, dataset):
    """Train for an epoch as the kit does."""
    train_one_epoch(state, dataset, RECIPE, DEVICE, progress(total=1, title="", unit="batch"))
