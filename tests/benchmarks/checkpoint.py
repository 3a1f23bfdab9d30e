"""Saving the whole state after an epoch, against that epoch (of 84 batches), and writing as many bytes."""

import tempfile
from pathlib import Path

import torch
from side_by_side import Stopwatch, benchmark

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import new_state, save_state
from snippetkit.training.epoch import train_one_epoch
from snippetkit.utils.hardware import find_devices
from snippetkit.utils.progress import progress
from snippetkit.utils.storage import replacing

RECIPE = Recipe.published()
BATCHES = 84                # of an epoch: 70% of 3,824 clips, by 32
TIMED = 10                  # of them are timed, for the rest
SAVES = 3
EPOCH = f"an epoch of {BATCHES} batches"


def warm_state(device):
    """A state that has all its moments."""
    state = new_state({"member": 0}, RECIPE, seed=0, batches=BATCHES, classes=4, device=device)
    train(state, clips(1, device), device)
    return state


def clips(batches, device):
    count = batches * RECIPE.batch_size
    return SnippetDataset(torch.randn(count, 299, 40).numpy(), torch.randint(4, (count,)).numpy(), device=device.name)


def train(state, dataset, device):
    train_one_epoch(state, dataset, RECIPE, device, progress(total=1, title="", unit="batch"))


def epoch(data):
    (device, *_) = find_devices()
    state, dataset = warm_state(device), clips(TIMED, device)
    with Stopwatch() as watch:
        train(state, dataset, device)
    watch.seconds *= BATCHES / TIMED
    return watch, 1


def kit(data):
    (device, *_) = find_devices()
    state = warm_state(device)
    with tempfile.TemporaryDirectory() as folder:
        save_state(state, Path(folder, "last.pt"), device)
        with Stopwatch() as watch:
            for _ in range(SAVES):
                save_state(state, Path(folder, "last.pt"), device)
    return watch, SAVES


def bytes_alone(data):
    (device, *_) = find_devices()
    with tempfile.TemporaryDirectory() as folder:
        save_state(warm_state(device), Path(folder, "last.pt"), device)
        content = Path(folder, "last.pt").read_bytes()
        with Stopwatch() as watch:
            for _ in range(SAVES):
                with replacing(Path(folder, "bytes")) as temporary:     # to the disk, not only to its cache
                    temporary.write_bytes(content)
    return watch, SAVES


main = benchmark("checkpoint", {
    EPOCH: epoch, "kit": kit, "bytes alone": bytes_alone,
}, unit="time", floor="bytes alone", rounds=3, has_baseline=False, apart=[EPOCH], doc=__doc__)

if __name__ == "__main__":
    main()
