"""What a member is made from and what it leaves on the disk; everything but the training itself.

No network is needed here, so that the stages that only read results do not wait for torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.errors import KitError, listed
from ..features.extraction import Features, band_statistics
from ..utils.fingerprints import difference, digest
from ..recipe import Recipe, completed
from ..songs import folds
from ..songs.table import Songs
from ..utils.storage import read_json


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a member sees: features of all splits, labels for the train clips, and which of them belong together.

    Attributes
    ----------
    train, test : Features
    labels : ndarray, shape (rows of train,), int64
    classes : int
    songs : Songs or None
        Needed where songs are kept apart, and where results are gathered.
    """

    train: Features
    labels: np.ndarray
    test: Features
    classes: int
    songs: Songs | None = None

    def fingerprint(self, recipe):
        """Changes with any clip, label or choice behind the features; where songs are kept apart, with them, too."""
        of = [self.train.fingerprint, self.test.fingerprint, self.labels.tolist(), self.classes]
        return digest(of if recipe.split == "random" else [*of, self.songs and self.songs.fingerprint])

    def datasets(self, recipe, member, device):
        """Clips to train on, to validate on and to predict, on the device.

        Parameters
        ----------
        recipe : Recipe
        member : int
        device : Device

        Returns
        -------
        tuple of three SnippetDataset
            The third without labels.

        Raises
        ------
        KitError
            As `folds.split` does, or if the recipe crops more frames than there are.
        """
        from ..dataset import SnippetDataset  # with torch behind it

        frames = self.train.array.shape[1]
        if recipe.crop > frames:
            raise KitError(
                f"crop={recipe.crop} frames cannot be cut out of clips of {frames}; choose fewer, or --set crop=0 to "
                "train on whole clips."
            )

        train_rows, valid_rows = folds.split(self, recipe, member)
        statistics = band_statistics(self.train.array[train_rows]) if recipe.standardise else None

        def placed(array, labels=None):
            return SnippetDataset(array, labels, device=device.name, statistics=statistics, channels=recipe.channels)

        return (
            placed(self.train.array[train_rows], self.labels[train_rows]),
            placed(self.train.array[valid_rows], self.labels[valid_rows]),
            placed(self.test.array),
        )


def member_folder(folder, member):
    """Where a member lives: ``member_07`` below the folder of all members."""
    return Path(folder) / f"member_{member:02d}"


def identity(member, recipe, data):
    """What tells one member from another: on one CPU, two runs with the same identity end with the same bits."""
    return {"member": member, "recipe": recipe.part("member"), "data": data.fingerprint(recipe)}


def is_finished(folder, member, recipe, data):
    """Whether the member is there and complete.

    Raises
    ------
    KitError
        If the folder holds a member of another recipe or other data; the text names the difference.
    """
    folder = Path(folder)
    ours, theirs = identity(member, recipe, data), read_json(folder / "recipe.json")
    if theirs is not None:
        theirs["recipe"] = completed(theirs.get("recipe", {}), "member")
    if theirs is not None and theirs != ours:
        what = difference(ours["recipe"], theirs["recipe"])
        what = f"by another recipe: here {what}" if what else "from other clips, labels or songs"
        raise KitError(
            f"{folder} was trained {what}. Choose another output folder, or delete {folder.parent} to start anew."
        )
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
    # as recipes, so that a choice that an older note does not know counts as published
    shared = [(Recipe.from_dict(note["recipe"]), note["data"]) for note in notes.values()]
    odd = [f"member_{i:02d}" for i, note in zip(members, shared) if note != shared[0]]
    if odd:
        raise KitError(f"{listed(odd)} in {folder} came from another recipe or data than member_{members[0]:02d}.")
    return shared[0]


def stack_test_logits(folder, members, clips):
    """Test logits of several members: ndarray, shape (members, clips, classes), float32.

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size than so many clips.
    """
    return np.stack([_read_logits(member_folder(folder, i) / "test_logits.npy", clips) for i in members])


def held_out_logits(folder, members, rows):
    """What members say of the clips that they never saw, the answers to a clip one behind the other.

    Parameters
    ----------
    folder : path-like
    members : sequence of int
    rows : sequence of ndarray of int
        The train clips held out from each member.

    Returns
    -------
    logits : ndarray, shape (answers, clips, classes), float32
        As many answers as every one of the clips has at least. Where all members share their clips that is one a
        member, with one fold a member it is one for all members of a round of folds.
    clips : ndarray, shape (clips,), int64
        Rows of the train clips that were held out from any of the members, ascending.

    Raises
    ------
    KitError
        If a file is missing, damaged or of another size than the rows.
    """
    logits = [
        _read_logits(member_folder(folder, i) / "valid_logits.npy", len(held_out)) for i, held_out in zip(members, rows)
    ]
    answers = np.zeros(1 + max(each.max() for each in rows), np.int64)
    table = np.zeros((len(members), len(answers), logits[0].shape[1]), np.float32)
    for its, held_out in zip(logits, rows):
        table[answers[held_out], held_out] = its
        answers[held_out] += 1
    clips = np.flatnonzero(answers)
    return table[: answers[clips].min(), clips], clips


def _read_logits(path, clips):
    # Where the weights are, a lost or damaged result is no loss; on Kaggle they may be in an earlier output.
    advice = f"delete {path.with_name('done.json')} and run 03_train_ensemble again where the weights are: " \
             "the logits are made anew from them."
    try:
        logits = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise KitError(f"{path} cannot be read ({error}); {advice}") from error
    if logits.ndim != 2 or len(logits) != clips:
        raise KitError(f"{path} has shape {logits.shape}, but there are {clips} clips; {advice}")
    return logits


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
