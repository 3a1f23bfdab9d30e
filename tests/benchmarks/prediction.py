"""Predictions of an ensemble: the published loop, snippetkit, and the forward pass alone.

Two members and 1,024 clips are enough: time is proportional to both, and memory grows with the clips (48 kB each).
"""

import torch
from resnet34 import CLASSES, DEVICE, fixed_batch, random_clips, random_dataset
from side_by_side import benchmark, timed
from torch.utils.data import DataLoader

from snippetkit import models
from snippetkit.training.epoch import predict

CLIPS = 1024
MEMBERS = 2
BATCH = 256     # of the forward pass alone


def time_members(predict_one, **options):
    """Time `predict_one`, which takes a network, for all members; the warm-up is the first member."""
    torch.manual_seed(0)
    networks = [
        models.build("resnet34", classes=CLASSES, dropout=0.2).eval().to(DEVICE.name, **options)
        for _ in range(MEMBERS)
    ]
    return timed(
        lambda: [predict_one(network) for network in networks], MEMBERS * CLIPS,
        warm_up=lambda: predict_one(networks[0]),
    )


@torch.no_grad()
def published(data):
    loader = DataLoader([torch.tensor(features)[None] for features in random_clips(CLIPS)[0]], 32)
    return time_members(lambda network: torch.cat([network(clips.to(DEVICE.name)) for clips in loader]).cpu())


def kit(data):
    dataset = random_dataset(CLIPS)
    return time_members(lambda network: predict(network, dataset, DEVICE), memory_format=DEVICE.memory_format)


def bare(data):
    batch, _ = fixed_batch(BATCH)
    with torch.inference_mode(), DEVICE.autocast():
        return time_members(
            lambda network: [network(batch) for _ in range(CLIPS // BATCH)], memory_format=DEVICE.memory_format
        )


if __name__ == "__main__":
    benchmark({
        "published loop": published, "kit": kit, "network alone, fixed batch": bare,
    }, unit="clip and member", floor="network alone, fixed batch", doc=__doc__)
