"""The checkpoint of a member: its whole state between two epochs, saved and read back without trusting the file."""

import pickle
import zipfile
from dataclasses import dataclass, field

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import models
from ..utils.errors import KitError
from ..utils.lock import deferred_interrupt
from ..utils.progress import say
from ..utils.storage import replacing


@dataclass
class State:
    """One member after `epoch` epochs.

    Attributes
    ----------
    identity : dict
        Member, recipe and data: see `members.identity`.
    model : nn.Module
    averaged : AveragedModel or None
        The exponential moving average of the weights; None if the recipe has none.
    optimizer, scheduler, scaler
        As in torch.
    generator : torch.Generator
        On the CPU; draws the order of the clips and the augmentation. Initial weights and dropout come from torch's
        global generators, which are saved and restored, too.
    classes : int
    history : list of dict
        One row per epoch.
    """

    identity: dict
    model: torch.nn.Module
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    classes: int
    epoch: int = 0
    history: list = field(default_factory=list)

    @property
    def evaluated(self):
        """The network for validation and prediction."""
        return self.model if self.averaged is None else self.averaged


def new_state(identity, recipe, *, seed, batches, classes, device):
    """A member before its first epoch.

    Parameters
    ----------
    identity : dict
    recipe : Recipe
    seed : int
        Of the initial weights, the shuffling and the dropout.
    batches : int
        Per epoch.
    classes : int
    device : Device
    """
    torch.manual_seed(seed)
    with deferred_interrupt():  # the first model and optimizer import torchvision, torch._dynamo and sympy
        model = models.build(recipe.model, classes=classes, dropout=recipe.dropout, channels=recipe.channels)
        model = model.to(device.name, memory_format=device.memory_format)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    averaged = None
    if recipe.ema_decay:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)
    return State(
        identity=identity,
        model=model,
        averaged=averaged,
        optimizer=optimizer,
        scheduler=_scheduler(optimizer, recipe, batches),
        scaler=torch.amp.GradScaler(device.kind, enabled=device.precision == "fp16"),
        generator=torch.Generator().manual_seed(seed),
        classes=classes,
    )


def save_state(state, path, device):
    """Save the whole state; the file that was there before stays until the new one is complete.

    Raises
    ------
    KitError
        If the disk refuses.
    """
    content = {name: getattr(state, name).state_dict() for name in _stateful(state)}
    content |= {
        "identity": state.identity,
        "epoch": state.epoch,
        "history": state.history,
        "generator": state.generator.get_state(),
        "cpu_generator": torch.get_rng_state(),
        "gpu_generator": torch.cuda.get_rng_state(device.name) if device.kind == "cuda" else None,
        "precision": device.precision,
    }
    # inside torch's archive writer, an interrupt would become one of the writer's own errors
    with deferred_interrupt(), replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:   # torch's archive writer hides the disk's error behind its own
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load_state(state, path, device):
    """Load a checkpoint into a new state, in place. The file is not trusted: it cannot run code.

    A member may continue on another device or in another precision. A line says so, because its bits then differ from
    those of a run that stayed.

    Raises
    ------
    KitError
        If the file is damaged, or belongs to another member, recipe or data.
    """
    content = _read_archive(path)
    if content.get("identity") != state.identity:
        raise KitError(f"{path} belongs to another member, recipe or data. Delete it to train this member again.")
    try:
        moved = _restore(state, content, device)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if moved:
        say(f"{path.parent.name} was started {moved} and continues on {device.title} in {device.precision}")


def load_network(path, recipe, *, classes, device):
    """Load the network of a member for prediction, on any device.

    Parameters
    ----------
    path : path-like
        ``last.pt``. The file is not trusted: it cannot run code.
    recipe : Recipe
        Of the member.
    classes : int
    device : Device

    Returns
    -------
    nn.Module

    Raises
    ------
    KitError
        If the file is damaged or contains another network.
    """
    content = _read_archive(path)
    network = models.build(recipe.model, classes=classes, dropout=recipe.dropout, channels=recipe.channels)
    try:
        if recipe.ema_decay:
            averaged = AveragedModel(network, use_buffers=True)
            averaged.load_state_dict(content["averaged"])
            network = averaged.module
        else:
            network.load_state_dict(content["model"])
    except (RuntimeError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    return network.eval().to(device.name, memory_format=device.memory_format)


def _restore(state, content, device):
    """Restore what was saved; returns where the member was before, if that was elsewhere."""
    same_precision = content["precision"] == device.precision
    for name in _stateful(state):
        # the scale of fp16 gradients has no meaning in another precision
        if name != "scaler" or same_precision:
            getattr(state, name).load_state_dict(content[name])
    state.epoch, state.history = content["epoch"], content["history"]
    state.generator.set_state(content["generator"])
    torch.set_rng_state(content["cpu_generator"])
    was_on_gpu = content["gpu_generator"] is not None
    if was_on_gpu and device.kind == "cuda":
        torch.cuda.set_rng_state(content["gpu_generator"], device.name)
    if same_precision and was_on_gpu == (device.kind == "cuda"):
        return None
    return f"on {'a GPU' if was_on_gpu else 'a CPU'} in {content['precision']}"


def _read_archive(path):
    try:
        # torch verifies no checksums: a flipped bit would pass for a weight
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"{broken} does not match its checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise ValueError(f"it contains a {type(content).__name__}")
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise _damaged(path, error) from error
    return content


def _damaged(path, error):
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
    return KitError(f"{path} is damaged or not a checkpoint ({reason}). Delete it to train this member again.")


def _stateful(state):
    names = ["model", "averaged", "optimizer", "scheduler", "scaler"]
    return [name for name in names if getattr(state, name) is not None]


def _scheduler(optimizer, recipe, batches):
    """The learning rate schedule, which steps after every batch."""
    steps = recipe.epochs * batches
    if recipe.schedule == "one_cycle":
        return OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=steps)
    return CosineAnnealingWarmRestarts(optimizer, T_0=max(1, steps // 2))
