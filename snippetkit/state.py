"""Everything that one member is between two epochs: what a killed run needs in order to go on as if it had not been.

How it is saved, and how it is read back without trusting the file. The training itself is elsewhere.
"""

import pickle
import zipfile
from dataclasses import dataclass, field

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from . import models
from .errors import KitError
from .storage import replacing


@dataclass
class State:
    """One member after `epoch` epochs.

    Attributes
    ----------
    identity : dict
        Which member, of which recipe, from which data: see `training.identity`.
    model : nn.Module
    averaged : AveragedModel or None
        The exponential moving average of the weights, where the recipe asks for one.
    optimizer, scheduler, scaler
        Torch's.
    generator : torch.Generator
        On the CPU; draws the order of the clips and the augmentation. Initial weights and dropout come from torch's
        global generators, which are saved and restored too.
    classes : int
    history : list of dict
        A row an epoch.
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
        """The network that validation and prediction use."""
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
        An epoch.
    classes : int
    device : Device
    """
    torch.manual_seed(seed)
    model = models.build(recipe.model, classes=classes, dropout=recipe.dropout)
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


def save_state(state, path):
    """Write the whole state under `path`; the file that stood there before stands until the new one is complete.

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
        "cuda_generators": torch.cuda.get_rng_state_all(),
    }
    with replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's archive writer hides the disk's own error behind one of its own
            raise error.__cause__ or error.__context__ or OSError(str(error)) from error


def load_state(state, path):
    """Read a saved state into a new one, in place. The file is not trusted: it cannot run code.

    Raises
    ------
    KitError
        If the file is damaged, or belongs to another member, recipe or data.
    """
    try:
        # torch checks no sums of its own: a flipped bit would pass for a weight
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"{broken} does not match its checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise KitError(
            f"{path} is damaged or no checkpoint of this kit ({type(error).__name__}: {str(error).split(chr(10))[0]}). "
            "Delete it to train this member anew."
        ) from error
    if content.get("identity") != state.identity:
        raise KitError(f"{path} belongs to another member, recipe or data; delete it to train this member anew.")
    for name in _stateful(state):
        getattr(state, name).load_state_dict(content[name])
    state.epoch, state.history = content["epoch"], content["history"]
    state.generator.set_state(content["generator"])
    torch.set_rng_state(content["cpu_generator"])
    if len(content["cuda_generators"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(content["cuda_generators"])


def _stateful(state):
    names = ["model", "averaged", "optimizer", "scheduler", "scaler"]
    return [name for name in names if getattr(state, name) is not None]


def _scheduler(optimizer, recipe, batches):
    """A schedule that is stepped after every batch."""
    steps = recipe.epochs * batches
    if recipe.schedule == "one_cycle":
        return OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=steps)
    return CosineAnnealingWarmRestarts(optimizer, T_0=max(1, steps // 2))
