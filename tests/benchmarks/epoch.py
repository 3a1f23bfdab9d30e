"""An epoch of ResNet34 with batches of 32: the published loop, snippetkit, and the network alone on one fixed batch."""

import numpy as np
import torch
from side_by_side import Stopwatch, benchmark, timed
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
CLIPS = 480     # 15 batches; the time does not depend on their content
TURNS = 2
DIFFERENCE = "kit minus network alone, in turns in one process"
CLASSES = 4


def features():
    generator = np.random.default_rng(0)
    return generator.normal(-60, 20, (CLIPS, 299, 40)).astype(np.float32), generator.integers(0, CLASSES, CLIPS)


def published_epoch():
    array, labels = features()
    device = find_devices()[0]
    loader = DataLoader([(torch.tensor(clip)[None], label) for clip, label in zip(array, labels)], 32, shuffle=True)
    model = models.build("resnet34", classes=CLASSES, dropout=0.2).to(device.name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, len(loader) // 2)

    def epoch():
        model.train()
        for clips, targets in loader:
            loss = functional.cross_entropy(model(clips.to(device.name)), targets.to(device.name))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss.item()

    return epoch


def kit_epoch():
    device = find_devices()[0]
    dataset, state = SnippetDataset(*features(), device=device.name), state_on(device)
    bar = progress(total=1, title="", unit="batch")
    return lambda: train_one_epoch(state, dataset, RECIPE, device, bar)


def bare_epoch():
    array, labels = features()
    device = find_devices()[0]
    state = state_on(device)
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


def state_on(device):
    return new_state({"member": 0}, RECIPE, seed=0, batches=CLIPS // 32, classes=CLASSES, device=device)


def difference(data):
    """How much longer an epoch of snippetkit takes than one of the network alone, in turns in one process."""
    kit, bare = kit_epoch(), bare_epoch()
    kit()
    bare()
    seconds = []
    with Stopwatch() as watch:
        for _ in range(TURNS):
            with Stopwatch() as ours:
                kit()
            with Stopwatch() as theirs:
                bare()
            seconds.append(ours.seconds - theirs.seconds)
    watch.seconds = float(np.median(seconds))
    return watch, CLIPS


main = benchmark("epoch", {
    "published loop": lambda data: timed(published_epoch(), CLIPS),
    "kit": lambda data: timed(kit_epoch(), CLIPS),
    "network alone, fixed batch": lambda data: timed(bare_epoch(), CLIPS),
    DIFFERENCE: difference,
}, unit="clip", floor="network alone, fixed batch", rounds=3, apart=[DIFFERENCE], doc=__doc__)

if __name__ == "__main__":
    main()
