"""What a member is made from and what it leaves on the disk; everything but the training itself.

No network is needed here, so that the stages that only read results do not wait for torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import KitError, listed
from .features import Features
from .recipe import Recipe, difference, digest
from .storage import read_json


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a member sees: features of all splits, labels for the train clips.

    Attributes
    ----------
    train, test : Features
    labels : ndarray, shape (rows of train,), int64
    classes : int
    """

    train: Features
    labels: np.ndarray
    test: Features
    classes: int

    @property
    def fingerprint(self):
        """Changes with any clip, label or choice behind the features."""
        return digest([self.train.fingerprint, self.test.fingerprint, self.labels.tolist(), self.classes])


def member_folder(folder, member):
    """Where a member lives: ``member_07`` below the folder of all members."""
    return Path(folder) / f"member_{member:02d}"


def identity(member, recipe, data):
    """What tells one member from another: on one CPU, two runs with the same identity end with the same bits."""
    return {"member": member, "recipe": recipe.part("member"), "data": data.fingerprint}


def is_finished(folder, member, recipe, data):
    """Whether the member is there and complete.

    Raises
    ------
    KitError
        If the folder holds a member of another recipe or other data; the text names the difference.
    """
    folder = Path(folder)
    ours, theirs = identity(member, recipe, data), read_json(folder / "recipe.json")
    if theirs is not None and theirs != ours:
        what = difference(ours["recipe"], theirs.get("recipe", {}))
        what = f"by another recipe: here {what}" if what else "from other clips or labels"
        raise KitError(f"{folder} was trained {what}. Choose another output folder, or delete {folder.parent} to start anew.")
    return theirs is not None and (folder / "done.json").exists()


def read_histories(folder):
    """What every member went through so far.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.

    Returns
    -------
    dict
        Member to DataFrame with a row an epoch: ``epoch``, ``lr``, ``train_loss``, ``train_accuracy``,
        ``valid_loss``, ``valid_accuracy``, ``seconds``, ``device``.
    """
    paths = sorted(Path(folder).glob("member_*/history.csv"))
    return {int(path.parent.name.removeprefix("member_")): pd.read_csv(path) for path in paths}


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
            raise KitError(
                f"{path} cannot be read ({error}); delete {path.with_name('done.json')} and run 03_train_ensemble again: "
                "the weights are there, and the logits are made anew."
            ) from error
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
