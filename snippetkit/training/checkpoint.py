"""The checkpoint of a member: its whole state between two epochs, saved and read back without trusting the file."""

import pickle
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import models
from ..features.pretrained.extraction import View
from ..utils.errors import KitError
from ..utils.lock import deferred_interrupt
from ..utils.progress import say
from ..utils.storage import replacing
from .classifier import KernelMachine
from .sequence import SequenceNetwork

# How zipfile, pickle and torch refuse a file that is damaged or contains something else.
_DAMAGE = (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, RuntimeError, TypeError, ValueError)


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
        return self.model if self.averaged is None else self.averaged.module

    @property
    def parts(self):
        """The objects of torch that have a ``state_dict``, by name: dict."""
        parts = {name: getattr(self, name) for name in ("model", "averaged", "optimizer", "scheduler", "scaler")}
        return {name: part for name, part in parts.items() if part is not None}


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
        model = new_network(recipe, classes).to(device.name, memory_format=device.memory_format)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    moving_average = get_ema_multi_avg_fn(recipe.ema_decay)
    averaged = AveragedModel(model, multi_avg_fn=moving_average, use_buffers=True) if recipe.ema_decay else None
    return State(
        identity=identity, model=model, averaged=averaged, optimizer=optimizer,
        scheduler=_new_scheduler(optimizer, recipe, batches),
        scaler=torch.amp.GradScaler(device.kind, enabled=device.precision == "fp16"),
        generator=torch.Generator().manual_seed(seed), classes=classes,
    )


def save_state(state, path, device):
    """Save the whole state; the file that was there before stays until the new one is complete.

    Raises
    ------
    KitError
        If the file cannot be written.
    """
    content = {
        **{name: part.state_dict() for name, part in state.parts.items()},
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
    with _report_damage(path):
        content = _read_archive(path)
        if content["identity"] != state.identity:
            raise KitError(f"{path} belongs to another member, recipe or data. Delete it to train this member again.")
        was_on_gpu, has_same_precision = content["gpu_generator"] is not None, content["precision"] == device.precision
        for name, part in state.parts.items():
            if name != "scaler" or has_same_precision:  # the scale of fp16 gradients means nothing elsewhere
                part.load_state_dict(content[name])
        state.epoch, state.history = content["epoch"], content["history"]
        state.generator.set_state(content["generator"])
        torch.set_rng_state(content["cpu_generator"])
        if was_on_gpu and device.kind == "cuda":
            torch.cuda.set_rng_state(content["gpu_generator"], device.name)
    if was_on_gpu != (device.kind == "cuda") or not has_same_precision:
        say(f"{path.parent.name} was started on a {'GPU' if was_on_gpu else 'CPU'} in {content['precision']} and "
            f"continues on {device.title} in {device.precision}")


def new_network(recipe, classes):
    """The network of a member, with random weights; of a classifier, without any."""
    if not recipe.is_network:
        return KernelMachine()
    if recipe.views:
        sizes = [View.named(name).shape[-1] for name in recipe.views.split("+")]
        return SequenceNetwork(sizes, classes=classes, dropout=recipe.dropout)
    return models.build(recipe.model, classes=classes, dropout=recipe.dropout, channels=recipe.channels)


def _new_scheduler(optimizer, recipe, batches):
    """The learning rate schedule, which steps after every batch."""
    steps = recipe.epochs * batches
    if recipe.schedule == "one_cycle":
        return OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=steps)
    return CosineAnnealingWarmRestarts(optimizer, T_0=max(1, steps // 2))


def _read_archive(path):
    # torch verifies no checksums: a flipped bit would pass for a weight
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise zipfile.BadZipFile(f"{broken} does not match its checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def _report_damage(path):
    try:
        yield
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
        advice = "Delete it to train this member again."
        raise KitError(f"{path} is damaged or not a checkpoint ({reason}). {advice}") from error
