"""Members over clips: one after the other as published, the kit's way, and the bare forward pass.

Two members and 1,024 clips stand for all: time grows with their numbers, memory with that of the clips (48 kB each).
"""

import numpy as np
import torch
from side_by_side import Stopwatch, benchmark
from torch.utils.data import DataLoader

from snippetkit import models
from snippetkit.dataset import SnippetDataset
from snippetkit.training.epoch import predict
from snippetkit.utils.hardware import find_devices

CLIPS = 1024
MEMBERS = 2
CLASSES = 4


def features():
    return np.random.default_rng(0).normal(-60, 20, (CLIPS, 299, 40)).astype(np.float32)


def members():
    torch.manual_seed(0)
    return [models.build("resnet34", classes=CLASSES, dropout=0.2).eval() for _ in range(MEMBERS)]


def published(data):
    (device, *_) = find_devices()
    loader = DataLoader([torch.tensor(clip)[None] for clip in features()], 32)
    networks = [network.to(device.name) for network in members()]

    def predicted(network):
        return torch.cat([network(clips.to(device.name)) for clips in loader]).cpu()

    with torch.no_grad():
        predicted(networks[0])
        with Stopwatch() as watch:
            for network in networks:
                predicted(network)
    return watch, MEMBERS * CLIPS


def kit(data):
    (device, *_) = find_devices()
    dataset = SnippetDataset(features(), device=device.name)
    networks = [network.to(device.name, memory_format=device.memory_format) for network in members()]
    predict(networks[0], dataset, device)
    with Stopwatch() as watch:
        for network in networks:
            predict(network, dataset, device)
    return watch, MEMBERS * CLIPS


def bare(data):
    (device, *_) = find_devices()
    (network, *_) = (each.to(device.name, memory_format=device.memory_format) for each in members())
    batch = torch.tensor(features()[:256, None], device=device.name).contiguous(memory_format=device.memory_format)
    with torch.inference_mode(), device.autocast():
        network(batch)
        with Stopwatch() as watch:
            for _ in range(MEMBERS * CLIPS // 256):
                network(batch)
    return watch, MEMBERS * CLIPS


main = benchmark("prediction", {
    "published loop": published, "kit": kit, "bare network, fixed batch": bare,
}, unit="clip and member", floor="bare network, fixed batch", rounds=3, doc=__doc__)

if __name__ == "__main__":
    main()
