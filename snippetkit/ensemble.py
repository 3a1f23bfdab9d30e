"""Many members: which are missing, and where each is trained.

How one member is trained is not known here, nor how the results are averaged and judged.
"""

from joblib import Parallel, delayed

from .clock import Clock
from .members import finished_members, is_finished, member_folder
from .progress import say
from .songs.folds import FLATTERS


def train_ensemble(folder, recipe, data, *, devices=None, clock=None):
    """Train the members that are missing, one at a time on every device.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    recipe : Recipe
    data : TrainingData
    devices : list of Device or None
        None takes what `hardware.find_devices` finds.
    clock : Clock or None

    Returns
    -------
    list of int
        The members that are finished now; fewer than ``recipe.members`` where the clock ran out.

    Raises
    ------
    KitError
        As `training.train_member` and `hardware.find_devices` do; all members are looked at before any is trained.
    """
    members = range(recipe.members)
    missing = [i for i in members if not is_finished(member_folder(folder, i), i, recipe, data)]
    if missing:
        _train_missing(folder, missing, recipe, data, devices, clock or Clock())
    return [i for i in finished_members(folder) if i in members]


def _train_missing(folder, missing, recipe, data, devices, clock):
    # Here and below, so that a run that has nothing left to train does not wait for torch.
    from .hardware import find_devices

    devices = devices or find_devices(recipe.precision)
    places = "; ".join(f"{each.title} in {each.precision}" for each in devices)
    say(f"{len(missing)} of {recipe.members} members to train, on {places}")
    if recipe.split == "random":
        say(f"split=random: {FLATTERS}")
    shares = [missing[turn :: len(devices)] for turn in range(len(devices))]
    # One device needs no process of its own: the progress bars and a keyboard interrupt arrive as they are.
    Parallel(n_jobs=len(devices))(
        delayed(_train_share)(folder, share, recipe, data, device, clock) for device, share in zip(devices, shares)
    )


def _train_share(folder, members, recipe, data, device, clock):
    from .training import train_member

    for i in members:
        if not train_member(member_folder(folder, i), i, recipe, data, device=device, clock=clock):
            return
