"""Training one member from its first epoch to its last, across any number of interruptions.

On a CPU, a run that is killed at any instant and started again ends with the same bits as one that was never killed:
an epoch depends on nothing but the checkpoint of the epoch before.
"""

import platform
import re
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import __version__
from ..utils.artifacts import claim
from ..utils.clock import Clock
from ..utils.errors import KitError
from ..utils.lock import lock_folder
from ..utils.progress import duration, note, progress, say
from ..utils.storage import replacing, write_json, write_table
from .checkpoint import load_state, new_state, save_state
from .classifier import fit
from .epoch import evaluate, predict, train_one_epoch
from .members import identity, is_finished, read_histories
from .weights import WEIGHTS, load_network, save_weights

_OUT_OF_MEMORY = (MemoryError, torch.cuda.OutOfMemoryError)
_OUT_OF_MEMORY_TEXT = "out of memory|can't allocate memory|ALLOC_FAILED"    # of other errors of CUDA, torch and cuBLAS


def train_member(folder, member, recipe, data, *, device, clock=None):
    """Train one member to its end, or as far as the clock allows; continue where an earlier run stopped.

    Parameters
    ----------
    folder : path-like
        ``members/member_07``. Gets ``recipe.json`` first, the checkpoint ``last.pt`` and ``history.csv`` after every
        epoch, ``weights.safetensors``, ``valid_logits.npy`` and ``test_logits.npy`` at the end, and ``done.json`` last.
        Then ``last.pt`` is removed.
    member : int
        Its seed is ``recipe.seed + member``.
    recipe : Recipe
    data : TrainingData
        Or an object with its `class_names`, `classes`, `fingerprint` and `datasets`.
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
        damaged, a file cannot be written, memory runs out, or the loss becomes NaN.
    """
    folder = Path(folder)
    if is_finished(folder, member, recipe, data):
        return True
    try:
        return _train_member(folder, member, recipe, data, device, clock or Clock())
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, _OUT_OF_MEMORY) and not re.search(_OUT_OF_MEMORY_TEXT, str(error)):
            raise
    # Not inside the handler, because the frames of the first error hold on to the memory.
    raise KitError(
        f"{folder.name}: {device.title} ran out of memory. Close what else uses it and run again to continue, or train "
        f"in another work folder with a smaller batch_size ({recipe.batch_size} now)."
    )


def _train_member(folder, member, recipe, data, device, clock):
    train, valid, test = data.datasets(recipe, member, device)  # may raise, so before anything is written
    # The ensemble's folder is locked, too, but a cluster's task may outlive the process that holds that lock.
    with lock_folder(folder, "training"):
        made_by = identity(member, recipe, data)
        claim(folder / "recipe.json", made_by, artifact=folder, delete=folder.parent)
        if not all((folder / name).exists() for name in (WEIGHTS, "history.csv")):
            make = _train if recipe.is_network else _fit
            network = make(folder, made_by, recipe, data, (train, valid), device, clock)
            if network is None:
                return False
            save_weights(network, folder, getattr(train, "statistics", None))
        if not (folder / "done.json").exists():
            network = load_network(folder, recipe, classes=data.classes, device=device)
            nothing = np.zeros((0, data.classes), np.float32)   # there may be no test clips
            for name, dataset in (("valid", valid), ("test", test)):
                with replacing(folder / f"{name}_logits.npy") as temporary:
                    np.save(temporary, predict(network, dataset, device) if len(dataset) else nothing)
            _finish(folder, made_by, recipe, data, network, device)
        (folder / "last.pt").unlink(missing_ok=True)    # many times the size of the weights
    return True


def _batches(train, recipe):
    return -(-len(train) // recipe.batch_size)


def _fit(folder, made_by, recipe, data, datasets, device, clock):
    """Fit a classifier at once; its history has one row. None if the time is up."""
    if not _has_time_for_epoch(folder, 0, device, clock):
        return None
    start = time.perf_counter()
    network = fit(data, recipe, made_by["member"]).to(device.name)
    metrics = evaluate(network, datasets[1], device)
    seconds = time.perf_counter() - start
    write_table(folder / "history.csv", pd.DataFrame([{
        "epoch": 1, **metrics, "seconds": seconds, "device": device.title,
    }]))
    say(f"{folder.parent.name} {folder.name}: valid {metrics['valid_accuracy']:.3f}")
    return network


def _train(folder, made_by, recipe, data, datasets, device, clock):
    """Train a new state, or the one in ``last.pt``, to its last epoch; None if the time is up before."""
    train, valid = datasets
    batches, seed, name = _batches(train, recipe), recipe.seed + made_by["member"], f"member {made_by['member']:02d}"
    state = new_state(made_by, recipe, seed=seed, batches=batches, classes=data.classes, device=device)
    if (folder / "last.pt").exists():
        load_state(state, folder / "last.pt", device)
        say(f"{folder.name} continues after epoch {state.epoch} of {recipe.epochs}")
        _write_history(state, folder)   # the earlier run may have been killed between checkpoint and history
    done, total = (epochs * _batches(train, recipe) for epochs in (state.epoch, recipe.epochs))
    with progress(total=total, done=done, title=name, unit="batch", has_notes=True) as bar:
        while state.epoch < recipe.epochs:
            if not _has_time_for_epoch(folder, state.epoch, device, clock):
                return None
            start = time.perf_counter()
            metrics = train_one_epoch(state, train, recipe, device, bar) | evaluate(state.evaluated, valid, device)
            state.epoch += 1
            seconds = time.perf_counter() - start
            state.history.append({"epoch": state.epoch, **metrics, "seconds": seconds, "device": device.title})
            save_state(state, folder / "last.pt", device)   # from here on, a killed session loses nothing
            _write_history(state, folder)
            reached = f"epoch {state.epoch}/{recipe.epochs}, valid {metrics['valid_accuracy']:.3f}"
            note(bar, name, reached + _time_left(folder, recipe, seconds))
    return state.evaluated


def _has_time_for_epoch(folder, epoch, device, clock):
    """Whether another epoch fits, estimated from the slowest one of any member on a device of this kind."""
    histories = read_histories(folder.parent).values()
    seconds = [seconds for rows in histories for seconds in rows["seconds"][rows["device"] == device.title]]
    slowest = max(seconds, default=0.0)
    if not clock.would_overrun(slowest):
        return True
    needed = f"an epoch took up to {slowest:.0f} s, and " if slowest else ""
    say(f"{folder.name} stops before epoch {epoch + 1}: {needed}{3600 * clock.hours_left():.0f} s are left")
    return False


def _time_left(folder, recipe, last):
    """How long all members of a kind will take, one after another, by the median of their epochs; `last` is one."""
    if recipe.members == 1:
        return ""
    seconds = [seconds for rows in read_histories(folder.parent).values() for seconds in rows["seconds"]] or [last]
    left = max(0, recipe.members * recipe.epochs - len(seconds)) * float(np.median(seconds))
    return f", all {recipe.members} members in {duration(left)}"


def _write_history(state, folder):
    write_table(folder / "history.csv", pd.DataFrame(state.history))


def _finish(folder, made_by, recipe, data, network, device):
    """Mark the member as complete; only the training state is removed after this."""
    history = pd.read_csv(folder / "history.csv")
    write_json(folder / "done.json", {
        "member": made_by["member"],
        "recipe_hash": recipe.hash("member"),
        "training_data": made_by["training_data"],
        "class_names": list(data.class_names),
        "epochs": len(history),
        **{name: float(history[name].iloc[-1]) for name in ("valid_accuracy", "valid_loss")},
        "weights": sum(weight.numel() for weight in (network.parameters if recipe.is_network else network.buffers)()),
        "seconds": float(history["seconds"].sum()),
        "device": device.title,
        "precision": device.precision if recipe.is_network else "fp32",
        "versions": {
            "python": platform.python_version(), "snippetkit": __version__,     # a checkout need not be installed
            **{name: version(name) for name in ("numpy", "torch", "torchvision")},
        },
    })
