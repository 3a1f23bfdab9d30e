"""Predictions of an ensemble: the published loop, snippetkit, and the forward pass alone.

Two members and 1,024 clips are enough: time is proportional to both, and memory grows with the clips (48 kB each).
"""

import numpy as np
import torch
from side_by_side import benchmark, timed
from torch.utils.data import DataLoader

from snippetkit import models
from snippetkit.dataset import SnippetDataset
from snippetkit.training.epoch import predict
from snippetkit.utils.hardware import find_devices

CLIPS = 1024
MEMBERS = 2
BATCH = 256     # of the forward pass alone


def features():
    return np.random.default_rng(0).normal(-60, 20, (CLIPS, 299, 40)).astype(np.float32)


def time_members(predict_one, device, **options):
    """Time `predict_one`, which takes a network, for all members; the warm-up is the first member."""
    torch.manual_seed(0)
    networks = [
        models.build("resnet34", classes=4, dropout=0.2).eval().to(device.name, **options) for _ in range(MEMBERS)
    ]
    return timed(
        lambda: [predict_one(network) for network in networks], MEMBERS * CLIPS,
        warm_up=lambda: predict_one(networks[0]),
    )


@torch.no_grad()
def published(data):
    device = find_devices()[0]
    loader = DataLoader([torch.tensor(clip)[None] for clip in features()], 32)
    return time_members(lambda network: torch.cat([network(clips.to(device.name)) for clips in loader]).cpu(), device)


def kit(data):
    device = find_devices()[0]
    dataset = SnippetDataset(features(), device=device.name)
    return time_members(lambda network: predict(network, dataset, device), device, memory_format=device.memory_format)


def bare(data):
    device = find_devices()[0]
    batch = torch.tensor(features()[:BATCH, None], device=device.name).contiguous(memory_format=device.memory_format)

    def forward(network):
        for _ in range(CLIPS // BATCH):
            network(batch)

    with torch.inference_mode(), device.autocast():
        return time_members(forward, device, memory_format=device.memory_format)


main = benchmark("prediction", {
    "published loop": published, "kit": kit, "network alone, fixed batch": bare,
}, unit="clip and member", floor="network alone, fixed batch", rounds=3, doc=__doc__)

if __name__ == "__main__":
    main()
