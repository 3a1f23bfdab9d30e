"""An epoch of ResNet34 with batches of 32: the published loop, snippetkit, and the network alone on one fixed batch."""

import torch
from resnet34 import CLASSES, DEVICE, fixed_batch, new_state, random_clips, random_dataset, train
from side_by_side import benchmark, timed
from torch.nn import functional
from torch.utils.data import DataLoader

from snippetkit import models

CLIPS = 480     # 15 batches
BATCH = 32


def published(data):
    clips = [(torch.tensor(features)[None], label) for features, label in zip(*random_clips(CLIPS))]
    loader = DataLoader(clips, BATCH, shuffle=True)
    model = models.build("resnet34", classes=CLASSES, dropout=0.2).to(DEVICE.name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, len(loader) // 2)

    def epoch():
        model.train()
        for features, targets in loader:
            loss = functional.cross_entropy(model(features.to(DEVICE.name)), targets.to(DEVICE.name))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss.item()

    return timed(epoch, CLIPS, warm_up=epoch)


def kit(data):
    dataset, state = random_dataset(CLIPS), new_state(CLIPS // BATCH)

    def epoch():
        train(state, dataset)

    return timed(epoch, CLIPS, warm_up=epoch)


def bare(data):
    (batch, targets), state = fixed_batch(BATCH), new_state(CLIPS // BATCH)
    state.model.train()

    def epoch():
        for _ in range(CLIPS // BATCH):
            with DEVICE.autocast():
                logits = state.model(batch)
            state.optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(logits.float(), targets).backward()
            state.optimizer.step()

    return timed(epoch, CLIPS, warm_up=epoch)


if __name__ == "__main__":
    benchmark({
        "published loop": published, "kit": kit, "network alone, fixed batch": bare,
    }, unit="clip", floor="network alone, fixed batch", doc=__doc__)
