"""Folders of members: their identity and their results.

No torch is needed here, so that stages that only read results start quickly.
"""

from pathlib import Path

import pandas as pd

from ..recipe import NETWORKS, Recipe
from ..utils.artifacts import read_record, require_match
from ..utils.errors import KitError, listed
from ..utils.progress import say


def kind_folder(folder, kind):
    """The folder of all members of a kind in a work folder: ``members``, or ``classifiers/<views>``."""
    return Path(folder) / "members" if kind == NETWORKS else Path(folder) / "classifiers" / kind


def finished_kinds(folder):
    """The kinds in a work folder that have finished members: dict of name to their numbers, networks first."""
    names = [NETWORKS, *sorted(path.name for path in (Path(folder) / "classifiers").glob("*") if path.is_dir())]
    finished = {kind: finished_members(kind_folder(folder, kind)) for kind in names}
    return {kind: members for kind, members in finished.items() if members}


def refuse_other_kinds(folder, recipe):
    """Refuse a work folder that has members of kinds that the recipe does not have: 04 would combine them, too.

    Raises
    ------
    KitError
    """
    others = [kind_folder(folder, kind) for kind in finished_kinds(folder) if kind not in recipe.kinds()]
    if others:
        raise KitError(
            f"{listed(others)}: this recipe has no members of that kind, and the average would contain them. Choose "
            "another output folder, or delete them."
        )


def member_folder(folder, member):
    """The folder of a member, such as ``member_07``, below the folder of all members."""
    return Path(folder) / f"member_{member:02d}"


def member_folders(folder):
    """The folders of the members in a folder: dict of number to Path, ascending. What has another name is left out."""
    paths = [path for path in Path(folder).glob("member_*") if path.is_dir()]
    endings = [path.name.removeprefix("member_") for path in paths]
    numbers = sorted({int(ending) for ending in endings if ending.isdecimal()})
    return {i: path for i in numbers if (path := member_folder(folder, i)) in paths}


def report_ignored(folder):
    """Say what in a folder of members looks like a member but has another name, such as ``member_00_old``."""
    ignored = set(Path(folder).glob("member_*")) - set(member_folders(folder).values())
    if ignored:
        names = listed(sorted(path.name for path in ignored))
        say(f"{folder}: {names} are not names of members (member_00, member_01, …) and are ignored")


def identity(member, recipe, data):
    """What identifies a member: on one CPU, two runs with the same identity end with the same bits."""
    return {"member": member, "recipe": recipe.part("member"), "training_data": data.fingerprint(recipe)}


def is_finished(folder, member, recipe, data):
    """Whether a member is complete, without a training state that is still to be removed.

    Parameters
    ----------
    folder : path-like
        Of the member.
    member : int
    recipe : Recipe
    data : TrainingData

    Raises
    ------
    KitError
        If the folder contains a member of another recipe or other data; the message names the difference.
    """
    folder, made_by = Path(folder), identity(member, recipe, data)
    record = require_match(folder / "recipe.json", made_by, artifact=folder, delete=folder.parent)
    return record is not None and (folder / "done.json").exists() and not (folder / "last.pt").exists()


def read_histories(folder):
    """The learning curves of all members so far.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder.

    Returns
    -------
    dict
        Member to DataFrame with one row per epoch: ``epoch``, ``lr``, ``train_loss``, ``train_accuracy``,
        ``valid_loss``, ``valid_accuracy``, ``seconds``, ``device``.
    """
    paths = {i: path / "history.csv" for i, path in member_folders(folder).items()}
    return {i: _read_history(path) for i, path in paths.items() if path.exists()}


def count_epochs(folder, member):
    """How many epochs a member has trained, by the lines of its history, without parsing it."""
    path = member_folder(folder, member) / "history.csv"
    return len(path.read_bytes().splitlines()[1:]) if path.exists() else 0


def finished_members(folder):
    """Numbers of the complete members in a folder, ascending."""
    return [i for i, path in member_folders(folder).items() if (path / "done.json").exists()]


def shared_recipe(folder, members):
    """The recipe and the data fingerprint that all these members share.

    Returns
    -------
    recipe : Recipe
    training_data : str

    Raises
    ------
    KitError
        If there is no member, or two of them differ.
    """
    if not members:
        raise KitError(f"there is no finished member in {folder}. Run the notebook 03_train_ensemble first.")
    shared = [_made_by(member_folder(folder, i)) for i in members]
    if odd := [f"member_{i:02d}" for i, content in zip(members, shared) if content != shared[0]]:
        first = f"member_{members[0]:02d}"
        raise KitError(f"{listed(odd)} in {folder} has another recipe or other training data than {first}.")
    recipe, training_data = shared[0]
    return Recipe.published().with_values(**recipe), training_data


def finished_recipe(folder):
    """A recipe with the kinds that have finished members in a work folder, as `Recipe.kinds` gives them.

    Raises
    ------
    KitError
        If there is no finished member, or as `shared_recipe`.
    """
    kinds = finished_kinds(folder)
    recipes = {kind: shared_recipe(kind_folder(folder, kind), members)[0] for kind, members in kinds.items()}
    if not recipes:
        raise KitError(f"there is no finished member in {folder}. Run the notebook 03_train_ensemble first.")
    classifiers = ",".join(kind for kind in recipes if kind != NETWORKS)
    values = {"members": len(kinds.get(NETWORKS, ())), "views": "", "classifiers": classifiers}
    first, last = (list(recipes.values())[i] for i in (0, -1))
    # networks on log-mel features, which are first, say nothing about views
    return first.with_values(**values, semitones=last.semitones, duets=last.duets)


def _read_history(path):
    try:
        history = pd.read_csv(path, index_col=False)
        if missing := {"epoch", "seconds", "device"} - set(history):
            raise ValueError(f"no column {listed(sorted(missing))}")
        return history
    except (OSError, ValueError) as error:
        raise KitError(f"{path} is damaged ({error}). Delete it; the member itself is kept. Then run again.") from error


def _made_by(folder):
    """The recipe and the data fingerprint of a member."""
    made_by = (read_record(folder / "recipe.json") or {"made_by": {}})["made_by"]
    if not isinstance(made_by.get("recipe"), dict) or "training_data" not in made_by:
        raise KitError(f"{folder / 'recipe.json'} is missing or damaged. Delete {folder} and train this member again.")
    return made_by["recipe"], made_by["training_data"]
