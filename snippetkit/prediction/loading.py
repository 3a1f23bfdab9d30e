"""The finished members of a work folder, loaded for prediction: networks, statistics, and the weight of each kind."""

from dataclasses import dataclass
from pathlib import Path

from ..data.labels import CLASSES
from ..features import extraction
from ..recipe import NETWORKS, Recipe
from ..training.members import finished_kinds, finished_members, kind_folder, member_folder, shared_recipe
from ..training.weights import load_network, read_statistics
from ..utils.errors import KitError
from ..utils.progress import say
from ..utils.storage import read_json


@dataclass(frozen=True)
class Kind:
    """Members of one kind.

    Attributes
    ----------
    folder : Path
        Of all its members.
    recipe : Recipe
    members : list of int
    weight : float
        Of their mean logits in the combination.
    """

    folder: Path
    recipe: Recipe
    members: list
    weight: float

    @property
    def class_names(self):
        """Names of the classes; an earlier version, which knew no others, did not keep those of the competition."""
        done = read_json(member_folder(self.folder, self.members[0]) / "done.json")
        return tuple(done.get("class_names", CLASSES))

    def load(self, device):
        """The members on a device, as pairs of network and statistics.

        The statistics, mean and deviation of each band, standardise the input; None if the recipe does not.

        Raises
        ------
        KitError
            If the weights of a member are missing or damaged.
        """
        folders = [member_folder(self.folder, member) for member in self.members]
        networks = [load_network(path, self.recipe, classes=len(self.class_names), device=device) for path in folders]
        statistics = [read_statistics(path) for path in folders]
        if self.recipe.standardise and self.recipe.is_network and None in statistics:
            say(f"{self.folder}: an earlier version kept no statistics of each member's training set; those of all "
                "train clips are used")
            features = extraction.load(self.folder.parent / "features" / "train.npy")
            statistics = [extraction.band_statistics(features.array)] * len(folders)
        return list(zip(networks, statistics))


def read_kinds(folder, beside=()):
    """The kinds of members in a work folder, as its submission combines them.

    Parameters
    ----------
    folder : path-like
    beside : iterable of path-like
        Work folders of other runs whose networks are averaged with those of this run, member by member.

    Returns
    -------
    list of Kind

    Raises
    ------
    KitError
        If nothing is finished, several kinds are not combined yet, or the other runs cannot be averaged with this one.
    """
    folder = Path(folder)
    if not any((folder / name).is_dir() for name in ("members", "classifiers")):
        raise KitError(f"{folder} is not the work folder of a run. Give one that is finished, such as runs/demo.")
    finished, report = finished_kinds(folder), read_json(folder / "report.json") or {}
    if not beside and len(finished) > 1:
        return _read_combined(folder, finished, report)
    if beside and set(finished) - {NETWORKS}:
        raise KitError(f"{folder} has classifiers, which are not averaged with other runs. Leave one of the two out.")
    [kind] = finished or [NETWORKS]     # without members, `shared_recipe` refuses the folder
    numbers = finished.get(kind, [])
    if not report.get("kinds") and not report.get("beside"):
        numbers = numbers[: report.get("members")]      # 04 may have averaged the first ones only
    places = [(kind_folder(folder, kind), numbers)]
    places += [(path, finished_members(path)) for path in (Path(other) / "members" for other in beside)]
    recipes = [shared_recipe(path, members)[0] for path, members in places]
    if len({recipe.separator for recipe in recipes}) > 1:
        raise KitError("the runs have different separators, so they cannot be averaged.")
    count = sum(len(members) for _, members in places)
    return [Kind(path, recipe, members, len(members) / count) for (path, members), recipe in zip(places, recipes)]


def _read_combined(folder, finished, report):
    combined = {kind["kind"]: kind for kind in report.get("kinds", [])}
    if combined.keys() != finished.keys() or any(len(finished[name]) < combined[name]["members"] for name in finished):
        raise KitError(
            f"the report in {folder} does not combine the kinds of members that are there. Run the notebook 04_predict "
            "again."
        )
    return [
        Kind(path := kind_folder(folder, name), shared_recipe(path, members)[0], members[: combined[name]["members"]],
             combined[name]["weight"])
        for name, members in finished.items()
    ]
