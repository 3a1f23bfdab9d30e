"""Many members: which are missing, and on which device each is trained.

How one member is trained is not known here, nor how the results are averaged and judged.
"""

import functools
import socket
import time
from pathlib import Path

from joblib import delayed

from ..songs.folds import FLATTERS
from ..utils.clock import Clock
from ..utils.errors import KitError
from ..utils.lock import deferred_interrupt, exclusive_task
from ..utils.parallel import run_tasks, use_cluster
from ..utils.progress import say
from .members import finished_members, is_finished, member_folder, read_histories


def train_ensemble(folder, recipe, data, *, devices=None, clock=None, cluster=""):
    """Train the members that are missing: one at a time, one on each device at once, or as many as a cluster takes.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    recipe : Recipe
    data : TrainingData
    devices : list of Device or None
        None takes what `hardware.find_devices` finds.
    clock : Clock or None
    cluster : str
        As in `cluster.use_cluster`. Each of its workers takes the first of the devices, its own unless they are given;
        one worker a GPU is started with its CUDA_VISIBLE_DEVICES.

    Returns
    -------
    list of int
        The members that are finished now; fewer than ``recipe.members`` where the clock ran out, or where a process
        died that trained one beside others.

    Raises
    ------
    KitError
        As `training.train_member`, `hardware.find_devices`, `workers.train_side_by_side` and `cluster.use_cluster` do;
        all members are looked at before any is trained.
    Stopped
        If the training was interrupted.
    """
    members = range(recipe.members)
    missing = [i for i in members if not is_finished(member_folder(folder, i), i, recipe, data)]
    if missing:
        so_far = functools.partial(_reached, folder, recipe)
        with exclusive_task(folder, "training", so_far=so_far), use_cluster(cluster, gpus=True):
            if recipe.split == "random":
                say(f"split=random: {FLATTERS}")
            train = _train_on_a_cluster if cluster else _train_here
            train(folder, missing, recipe, data, devices, clock or Clock())
    return [i for i in finished_members(folder) if i in members]


def _train_here(folder, missing, recipe, data, devices, clock):
    # Here, so that a run that has nothing left to train does not wait for torch, which no process can load twice.
    with deferred_interrupt():
        from ..utils.hardware import find_devices
        from .member import train_member
        from .workers import train_side_by_side

    devices = devices or find_devices(recipe.precision)
    places = "; ".join(f"{each.title} in {each.precision}" for each in devices)
    at_once = min(len(devices), len(missing))
    how = "one at a time" if at_once == 1 else f"{at_once} at a time"
    say(f"{len(missing)} of {recipe.members} members to train, {how}, on {places}")
    if at_once > 1:
        return train_side_by_side(folder, missing, recipe, data, devices, clock)
    # One device needs no process of its own: the progress bar and a keyboard interrupt arrive as they are.
    for i in missing:
        if not train_member(member_folder(folder, i), i, recipe, data, device=devices[0], clock=clock):
            return


def _train_on_a_cluster(folder, missing, recipe, data, devices, clock):
    folder = Path(folder).absolute()     # a worker's current folder is another
    say(f"{len(missing)} of {recipe.members} members to train, one a worker, each with the first device that it finds")
    # Every machine has this clock, and a member that is given to a second worker when the first died keeps its end.
    end = time.time() + 3600 * clock.hours_left() if clock.hours_left() else 0.0
    tasks = (delayed(_train_one)(folder, i, recipe, data, devices, end) for i in missing)
    is_any_well = False
    for is_well, sentence in run_tasks(tasks, None):
        say(sentence)
        is_any_well |= is_well
    if not is_any_well:
        raise KitError("no member could be trained; see above.")


def _train_one(folder, member, recipe, data, devices, end):
    """What a worker of the cluster does; whether all is well, and a sentence on how it went."""
    from ..utils.hardware import find_devices
    from .member import train_member

    name, host = f"member_{member:02d}", socket.gethostname()
    if not folder.is_dir():
        return False, f"{name}: {host} does not see {folder}, which all machines must share."
    try:
        device = (devices or find_devices(recipe.precision))[0]
        clock = Clock(max((end - time.time()) / 3600, 1e-6) if end else 0.0)
        is_finished = train_member(member_folder(folder, member), member, recipe, data, device=device, clock=clock)
    except KitError as error:
        return False, f"{name}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever befell this member, the others go on
        return False, f"{name}: {type(error).__name__} on {host}: {error}"
    how = "was trained" if is_finished else "stopped, as the time is up; run again to go on,"
    return True, f"{name} {how} on {host} ({device.title}, {device.precision})"


def _reached(folder, recipe):
    """How far the members got, for a person who stopped them."""
    finished = finished_members(folder)
    begun = {i: len(rows) for i, rows in read_histories(folder).items() if i not in finished}
    parts = [f"{len(finished)} of {recipe.members} members are finished"]
    parts += [f"member_{i:02d} has {epochs} of {recipe.epochs} epochs" for i, epochs in begun.items()]
    return ", ".join(parts)
