"""Many members: which are missing, where each is trained, and what their averaged logits say.

How one member is trained is not known here, nor how a result is judged.
"""

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from .errors import KitError, listed
from .recipe import Recipe
from .storage import read_json
from .training import Clock, is_finished, train_member


def member_folder(folder, member):
    """Where a member lives: ``member_07`` below the folder of all members."""
    return Path(folder) / f"member_{member:02d}"


def train_ensemble(folder, recipe, data, *, devices, clock=None):
    """Train the members that are missing, one at a time on every device.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.
    recipe : Recipe
    data : TrainingData
    devices : list of Device
    clock : Clock or None

    Returns
    -------
    list of int
        The members that are finished now; fewer than ``recipe.members`` where the clock ran out.

    Raises
    ------
    KitError
        As `train_member` does; all members are looked at before any is trained.
    """
    members = range(recipe.members)
    missing = [i for i in members if not is_finished(member_folder(folder, i), i, recipe, data)]
    clock = clock or Clock()
    shares = [missing[turn :: len(devices)] for turn in range(len(devices))]
    # One device needs no process of its own: the progress bars and a keyboard interrupt arrive as they are.
    Parallel(n_jobs=len(devices))(
        delayed(_train_share)(folder, share, recipe, data, device, clock) for device, share in zip(devices, shares)
    )
    return [i for i in members if (member_folder(folder, i) / "done.json").exists()]


def finished_members(folder):
    """Numbers of the members in a folder that are complete, ascending."""
    return sorted(int(path.parent.name.removeprefix("member_")) for path in Path(folder).glob("member_*/done.json"))


def shared_recipe(folder, members):
    """The recipe that all these members were trained by, and the fingerprint of the data they saw.

    Returns
    -------
    recipe : Recipe
    data : str

    Raises
    ------
    KitError
        If there is no member, or two of them differ.
    """
    if not members:
        raise KitError(f"no finished member in {folder}; run the notebook 03_train_ensemble first.")
    notes = {i: read_json(member_folder(folder, i) / "recipe.json") for i in members}
    shared = [{name: note[name] for name in ("recipe", "data")} for note in notes.values()]
    odd = [f"member_{i:02d}" for i, note in zip(members, shared) if note != shared[0]]
    if odd:
        raise KitError(f"{listed(odd)} in {folder} came from another recipe or data than member_{members[0]:02d}.")
    return Recipe.from_dict(shared[0]["recipe"]), shared[0]["data"]


def load_logits(folder, members, split):
    """Logits of several members.

    Parameters
    ----------
    folder : path-like
    members : sequence of int
    split : str
        'valid' or 'test'.

    Returns
    -------
    ndarray, shape (members, clips, classes), float32

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size.
    """
    loaded = []
    for i in members:
        path = member_folder(folder, i) / f"{split}_logits.npy"
        try:
            loaded.append(np.load(path))
        except (OSError, ValueError, EOFError) as error:
            raise KitError(f"{path} cannot be read ({error}); delete {path.parent} and train it again.") from error
        if loaded[-1].shape != loaded[0].shape:
            raise KitError(f"{path} has shape {loaded[-1].shape}, that of the first member {loaded[0].shape}.")
    return np.stack(loaded)


def average(logits):
    """The ensemble's logits: the mean over members, of the logits and not of probabilities, as published.

    Parameters
    ----------
    logits : ndarray, shape (members, clips, classes)

    Returns
    -------
    ndarray, shape (clips, classes), float64
    """
    return logits.mean(axis=0, dtype=np.float64)


def _train_share(folder, members, recipe, data, device, clock):
    for i in members:
        if not train_member(member_folder(folder, i), i, recipe, data, device=device, clock=clock):
            return
