"""Saving the whole state after an epoch, beside that epoch (84 batches) and beside writing the same number of bytes."""

import tempfile
from pathlib import Path

import torch
from side_by_side import benchmark, timed

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import new_state, save_state
from snippetkit.training.epoch import train_one_epoch
from snippetkit.utils.hardware import find_devices
from snippetkit.utils.progress import progress
from snippetkit.utils.storage import replacing

RECIPE = Recipe.published()
BATCHES = 84                # of an epoch: 70% of 3,824 clips, in batches of 32
TIMED = 10                  # batches that are timed; the time of the epoch is extrapolated
SAVES = 3
EPOCH = f"an epoch of {BATCHES} batches"


def trained_state(device):
    """A state after one batch, so that the optimizer has its moments."""
    state = new_state({"member": 0}, RECIPE, seed=0, batches=BATCHES, classes=4, device=device)
    train(state, make_clips(1, device), device)
    return state


def make_clips(batches, device):
    count = batches * RECIPE.batch_size
    return SnippetDataset(torch.randn(count, 299, 40).numpy(), torch.randint(4, (count,)).numpy(), device=device.name)


def train(state, dataset, device):
    train_one_epoch(state, dataset, RECIPE, device, progress(total=1, title="", unit="batch"))


def epoch(data):
    device = find_devices()[0]
    state, dataset = trained_state(device), make_clips(TIMED, device)
    return timed(lambda: train(state, dataset, device), TIMED / BATCHES, warm_up=lambda: None)


def kit(data):
    device = find_devices()[0]
    state = trained_state(device)
    return time_saves(lambda path: save_state(state, path, device))


def bytes_alone(data):
    device = find_devices()[0]
    with tempfile.TemporaryDirectory() as folder:
        save_state(trained_state(device), Path(folder, "last.pt"), device)
        content = Path(folder, "last.pt").read_bytes()

    def save(path):
        with replacing(path) as temporary:      # flushed to the disk, not only to its cache
            temporary.write_bytes(content)

    return time_saves(save)


def time_saves(save):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "last.pt")
        return timed(lambda: [save(path) for _ in range(SAVES)], SAVES, warm_up=lambda: save(path))


main = benchmark("checkpoint", {
    EPOCH: epoch, "kit": kit, "bytes alone": bytes_alone,
}, unit="save", floor="bytes alone", rounds=3, has_baseline=False, apart=[EPOCH], doc=__doc__)

if __name__ == "__main__":
    main()
