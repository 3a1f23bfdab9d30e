"""An epoch of ResNet34 with batches of 32: the published loop, the kit's, and the bare network on one fixed batch."""

import numpy as np
import torch
from side_by_side import Stopwatch, benchmark
from torch.nn import functional
from torch.utils.data import DataLoader

from snippetkit import models
from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import new_state
from snippetkit.training.epoch import train_one_epoch
from snippetkit.utils.hardware import find_devices
from snippetkit.utils.progress import progress

RECIPE = Recipe.published()
CLIPS = 480     # 15 batches; time does not depend on what is in them
TURNS = 2
OUTSIDE = "kit less bare, in turns in one process"
CLASSES = 4


def features():
    generator = np.random.default_rng(0)
    return generator.normal(-60, 20, (CLIPS, 299, 40)).astype(np.float32), generator.integers(0, CLASSES, CLIPS)


def published(data):
    array, labels = features()
    (device, *_) = find_devices()
    loader = DataLoader([(torch.tensor(clip)[None], label) for clip, label in zip(array, labels)], 32, shuffle=True)
    model = models.build("resnet34", classes=CLASSES, dropout=0.2).to(device.name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, len(loader) // 2)

    def epoch():
        model.train()
        for clips, its_labels in loader:
            loss = functional.cross_entropy(model(clips.to(device.name)), its_labels.to(device.name))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss.item()

    return after_a_warm_up(epoch)


def kit(data):
    (device, *_) = find_devices()
    return after_a_warm_up(kit_epoch(device))


def bare(data):
    (device, *_) = find_devices()
    return after_a_warm_up(bare_epoch(device))


def outside(data):
    """What the kit's epoch takes more than the bare one, the two of them in turns in one process."""
    (device, *_) = find_devices()
    ways = kit_epoch(device), bare_epoch(device)
    for epoch in ways:
        epoch()
    with Stopwatch() as watch:
        seconds = np.array([[timed(epoch) for epoch in ways] for _ in range(TURNS)])
    watch.seconds = float(np.median(seconds[:, 0] - seconds[:, 1]))
    return watch, CLIPS


def kit_epoch(device):
    array, labels = features()
    dataset = SnippetDataset(array, labels, device=device.name)
    state = new_state({"member": 0}, RECIPE, seed=0, batches=len(array) // 32, classes=CLASSES, device=device)
    bar = progress(total=1, title="", unit="batch")
    return lambda: train_one_epoch(state, dataset, RECIPE, device, bar)


def bare_epoch(device):
    array, labels = features()
    state = new_state({"member": 0}, RECIPE, seed=0, batches=len(array) // 32, classes=CLASSES, device=device)
    batch = torch.tensor(array[:32, None], device=device.name).contiguous(memory_format=device.memory_format)
    targets = torch.tensor(labels[:32], device=device.name)
    state.model.train()

    def epoch():
        for _ in range(CLIPS // 32):
            with device.autocast():
                logits = state.model(batch)
            state.optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(logits.float(), targets).backward()
            state.optimizer.step()

    return epoch


def after_a_warm_up(epoch):
    epoch()
    with Stopwatch() as watch:
        epoch()
    return watch, CLIPS


def timed(epoch):
    with Stopwatch() as watch:
        epoch()
    return watch.seconds


main = benchmark("epoch", {
    "published loop": published, "kit": kit, "bare network, fixed batch": bare,
    OUTSIDE: outside,
}, unit="clip", floor="bare network, fixed batch", rounds=3, apart=[OUTSIDE], doc=__doc__)

if __name__ == "__main__":
    main()
