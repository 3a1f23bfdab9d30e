"""Saving the whole state after an epoch, beside that epoch (84 batches) and beside writing the same number of bytes."""

import tempfile
from pathlib import Path

from resnet34 import DEVICE, RECIPE, new_state, random_dataset, train
from side_by_side import benchmark, timed

from snippetkit.training.checkpoint import save_state
from snippetkit.utils.storage import replacing

BATCHES = 84                # of an epoch: 70% of 3,824 clips, in batches of 32
TIMED = 10                  # batches that are timed; the time of the epoch is extrapolated
SAVES = 3
EPOCH = f"an epoch of {BATCHES} batches"


def trained_state():
    """A state after one batch, so that the optimizer has its moments."""
    state = new_state(BATCHES)
    train(state, random_dataset(RECIPE.batch_size))
    return state


def epoch(data):
    state, dataset = trained_state(), random_dataset(TIMED * RECIPE.batch_size)
    return timed(lambda: train(state, dataset), TIMED / BATCHES)


def kit(data):
    state = trained_state()
    return time_saves(lambda path: save_state(state, path, DEVICE))


def bytes_alone(data):
    with tempfile.TemporaryDirectory() as folder:
        save_state(trained_state(), Path(folder, "last.pt"), DEVICE)
        content = Path(folder, "last.pt").read_bytes()

    def save(path):
        with replacing(path) as temporary:      # flushed to the disk, not only to its cache
            temporary.write_bytes(content)

    return time_saves(save)


def time_saves(save):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "last.pt")
        return timed(lambda: [save(path) for _ in range(SAVES)], SAVES, warm_up=lambda: save(path))


if __name__ == "__main__":
    benchmark({
        EPOCH: epoch, "kit": kit, "bytes alone": bytes_alone,
    }, unit="save", floor="bytes alone", has_baseline=False, apart=[EPOCH], doc=__doc__)
