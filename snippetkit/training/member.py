"""Training one member from its first epoch to its last, across any number of interruptions.

On a CPU, a run that is killed at any instant and started again ends with the same bits as one that was never killed:
an epoch depends on nothing but the checkpoint of the epoch before.
"""

import importlib.metadata
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.artifacts import claim
from ..utils.clock import Clock
from ..utils.lock import lock_folder
from ..utils.progress import progress, say
from ..utils.storage import replacing, write_json, write_table
from .checkpoint import load_state, new_state, save_state
from .epoch import predict, train_one_epoch, validate
from .members import identity, is_finished, read_histories


def train_member(folder, member, recipe, data, *, device, clock=None):
    """Train one member to its end, or as far as the clock allows; continue where an earlier run stopped.

    Parameters
    ----------
    folder : path-like
        ``members/member_07``. Gets ``recipe.json`` first, the checkpoint ``last.pt`` and ``history.csv`` after every
        epoch, ``valid_logits.npy`` and ``test_logits.npy`` at the end, and ``done.json`` last.
    member : int
        Its seed is ``recipe.seed + member``.
    recipe : Recipe
    data : TrainingData
        Or an object with its `classes`, `fingerprint` and `datasets`.
    device : Device
    clock : Clock or None

    Returns
    -------
    bool
        Whether the member is finished.

    Raises
    ------
    KitError
        If the folder contains a member of another recipe or other data, another process trains it, the checkpoint is
        damaged, the disk refuses, or the loss becomes NaN.
    """
    folder = Path(folder)
    if is_finished(folder, member, recipe, data):
        return True
    datasets = data.datasets(recipe, member, device)    # may raise, so before anything is written
    # The ensemble's folder is locked, too, but a cluster's task may outlive the process that holds that lock.
    with lock_folder(folder, "training"):
        return _continue(folder, member, recipe, data, datasets, device, clock or Clock())


def _continue(folder, member, recipe, data, datasets, device, clock):
    who = identity(member, recipe, data)
    train, valid, test = datasets
    claim(folder / "recipe.json", who, artifact=folder, delete=folder.parent)
    batches = -(-len(train) // recipe.batch_size)
    state = new_state(
        who, recipe, seed=recipe.seed + member, batches=batches, classes=data.classes, device=device
    )
    if (folder / "last.pt").exists():
        load_state(state, folder / "last.pt", device)
        say(f"{folder.name} continues after epoch {state.epoch} of {recipe.epochs}")
        _write_history(state, folder)   # the earlier run may have been killed between checkpoint and history
    bar = progress(
        total=recipe.epochs * batches, done=state.epoch * batches, title=f"member {member:02d}", unit="batch"
    )
    with bar:
        if not _train(state, folder, train, valid, recipe, device, clock, bar):
            return False
    _save_array(folder / "valid_logits.npy", predict(state.evaluated, valid, device))
    _save_array(folder / "test_logits.npy", predict(state.evaluated, test, device))
    _finish(state, folder, recipe, device)
    return True


def _train(state, folder, train, valid, recipe, device, clock, bar):
    """Train the remaining epochs; returns whether the clock allowed all of them."""
    while state.epoch < recipe.epochs:
        slowest = _slowest_epoch(folder.parent, device)
        if clock.would_overrun(slowest):
            needed = f"an epoch took up to {slowest:.0f} s, and " if slowest else ""
            left = f"{3600 * clock.hours_left():.0f} s are left"
            say(f"{folder.name} stops before epoch {state.epoch + 1}: {needed}{left}")
            return False
        start = time.perf_counter()
        row = train_one_epoch(state, train, recipe, device, bar) | validate(state, valid, device)
        state.epoch += 1
        seconds = time.perf_counter() - start
        state.history.append({"epoch": state.epoch, **row, "seconds": seconds, "device": device.title})
        save_state(state, folder / "last.pt", device)     # from here on, a killed session loses nothing
        _write_history(state, folder)
        bar.set_postfix_str(f"epoch {state.epoch}/{recipe.epochs}, valid {row['valid_accuracy']:.3f}")
    return True


def _slowest_epoch(members, device):
    # of any member on a device of this kind, in this session or an earlier one
    histories = pd.concat([pd.DataFrame(columns=["device", "seconds"]), *read_histories(members).values()])
    seconds = histories["seconds"][histories["device"] == device.title]
    return float(seconds.max()) if len(seconds) else 0.0


def _write_history(state, folder):
    write_table(folder / "history.csv", pd.DataFrame(state.history))


def _save_array(path, array):
    with replacing(path) as temporary:
        np.save(temporary, array)


def _finish(state, folder, recipe, device):
    """Mark the member as complete; nothing may be written after this."""
    last = state.history[-1]
    write_json(folder / "done.json", {
        "member": state.identity["member"],
        "recipe_hash": recipe.hash("member"),
        "training_data": state.identity["training_data"],
        "epochs": state.epoch,
        "valid_accuracy": last["valid_accuracy"],
        "valid_loss": last["valid_loss"],
        "weights": sum(weight.numel() for weight in state.model.parameters()),
        "seconds": sum(row["seconds"] for row in state.history),
        "device": device.title,
        "precision": device.precision,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("snippetkit", "numpy", "torch", "torchvision")},
        },
    })
