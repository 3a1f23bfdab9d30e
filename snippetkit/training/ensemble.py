"""Training the missing members of an ensemble, on one or several devices or on a cluster."""

import socket
import time
from pathlib import Path

from joblib import delayed

from ..recipe import NETWORKS
from ..songs.folds import FLATTERS
from ..utils.clock import Clock
from ..utils.errors import KitError
from ..utils.lock import deferred_interrupt, exclusive_task
from ..utils.parallel import run_tasks, use_cluster
from ..utils.progress import say
from .members import (
    finished_members,
    is_finished,
    kind_folder,
    member_folder,
    read_histories,
    refuse_other_kinds,
    report_ignored,
)


def train_kinds(folder, recipe, data, **options):
    """Train the missing members of all kinds of a recipe, networks on log-mel features last: they take longest.

    Parameters
    ----------
    folder : path-like
        The work folder.
    recipe : Recipe
    data : TrainingData
        With the views of the classifiers.
    **options
        As in `train_ensemble`.

    Returns
    -------
    dict
        Name of each kind to its finished members.

    Raises
    ------
    KitError
        As `train_ensemble`.
    """
    refuse_other_kinds(folder, recipe)
    kinds = sorted(recipe.kinds().items(), key=lambda kind: kind[0] == NETWORKS)
    return {name: train_ensemble(kind_folder(folder, name), kind, data, **options) for name, kind in kinds}


def train_ensemble(folder, recipe, data, *, devices=None, clock=None, cluster=""):
    """Train the missing members: one after another, one per device at a time, or on a cluster.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    recipe : Recipe
    data : TrainingData
    devices : list of Device or None
        None: all that `hardware.find_devices` finds.
    clock : Clock or None
    cluster : str
        As in `parallel.use_cluster`. Each worker uses the first of the devices, by default its own; start one worker
        per GPU with its CUDA_VISIBLE_DEVICES.

    Returns
    -------
    list of int
        The finished members; fewer than ``recipe.members`` if the time ran out, or if one of several processes died.

    Raises
    ------
    KitError
        As `member.train_member`, `hardware.find_devices`, `workers.train_side_by_side` and `parallel.use_cluster`.
        All members are checked before any is trained.
    Stopped
        If the training was interrupted.
    """
    report_ignored(folder)
    members = range(recipe.members)
    missing = [i for i in members if not is_finished(member_folder(folder, i), i, recipe, data)]
    if missing:
        task = exclusive_task(folder, "training", so_far=lambda: _reached(folder, recipe))
        with task, use_cluster(cluster, gpus=True):
            if recipe.split == "random":
                say(f"split=random: {FLATTERS}")
            train = _train_on_a_cluster if cluster and recipe.is_network else _train_here
            train(folder, missing, recipe, data, devices, clock or Clock())
    return [i for i in finished_members(folder) if i in members]


def _train_here(folder, missing, recipe, data, devices, clock):
    # Imported here, so that a complete run does not wait for torch.
    with deferred_interrupt():
        from ..utils.hardware import find_devices
        from .member import train_member
        from .workers import train_side_by_side

    # a classifier takes seconds, less than another process takes to start
    devices = (devices or find_devices(recipe.precision))[: len(missing) if recipe.is_network else 1]
    places = "; ".join(f"{device.title} in {device.precision}" for device in devices)
    how = "one" if len(devices) == 1 else len(devices)
    kind = f" on {recipe.views}" if recipe.views else ""
    say(f"{len(missing)} of {recipe.members} members{kind} to train, {how} at a time, on {places}")
    if len(devices) > 1:
        return train_side_by_side(folder, missing, recipe, data, devices, clock)
    # One device needs no extra process: progress bar and keyboard interrupt work directly.
    for i in missing:
        if not train_member(member_folder(folder, i), i, recipe, data, device=devices[0], clock=clock):
            return


def _train_on_a_cluster(folder, missing, recipe, data, devices, clock):
    folder = Path(folder).absolute()    # a worker has another current folder
    say(f"{len(missing)} of {recipe.members} members to train, one per worker, each on its first device")
    # As wall clock time, because a member may be passed to a second worker when the first one dies.
    end = time.time() + 3600 * clock.hours_left() if clock.hours_left() else 0.0
    tasks = (delayed(_train_one)(folder, i, recipe, data, devices, end) for i in missing)
    any_succeeded = False
    for succeeded, sentence in run_tasks(tasks, None):
        say(sentence)
        any_succeeded |= succeeded
    if not any_succeeded:
        raise KitError("no member could be trained, see above.")


def _train_one(folder, member, recipe, data, devices, end):
    """The task of a cluster's worker; returns whether it succeeded, and a sentence."""
    from ..utils.hardware import find_devices
    from .member import train_member

    name, host = f"member_{member:02d}", socket.gethostname()
    if not folder.is_dir():
        return False, f"{name}: {folder} does not exist on {host}. All machines must share it."
    try:
        device = (devices or find_devices(recipe.precision))[0]
        clock = Clock(max((end - time.time()) / 3600, 1e-6) if end else 0.0)
        is_finished = train_member(member_folder(folder, member), member, recipe, data, device=device, clock=clock)
    except Exception as error:  # the other members continue
        reason = error if isinstance(error, KitError) else f"{type(error).__name__} on {host}: {error}"
        return False, f"{name}: {reason}"
    how = "was trained" if is_finished else "stopped because the time is up (run again to continue)"
    return True, f"{name} {how} on {host} ({device.title}, {device.precision})"


def _reached(folder, recipe):
    """How far the members got, for the message after an interrupt."""
    finished = finished_members(folder)
    started = {i: len(rows) for i, rows in read_histories(folder).items() if i not in finished}
    parts = [f"member_{i:02d} has {epochs} of {recipe.epochs} epochs" for i, epochs in started.items()]
    return ", ".join([f"{len(finished)} of {recipe.members} members are finished", *parts])
