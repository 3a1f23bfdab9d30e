"""By what a folder of vocals was made: one separator and one set of weights, noted in ``separation.json``."""

from pathlib import Path

from ..utils.errors import KitError, listed
from ..utils.storage import read_json, write_json


def claim(folder, recipe, weights=None):
    """Note by what a folder of vocals is made, or make sure that the note says the same.

    Parameters
    ----------
    folder : path-like
    recipe : Recipe
    weights : str or None
        As `checkpoint.fingerprint` gives it; None where nothing is separated.

    Raises
    ------
    KitError
        If the vocals there were made, or begun, otherwise.
    """
    theirs = made_with(folder, recipe)
    if theirs is None and not (Path(folder) / "separation.json").exists():
        write_json(Path(folder) / "separation.json", {**_choices(recipe), "weights": weights})
    elif theirs != weights:
        raise KitError(refusal(folder, "with other weights"))


def made_with(folder, recipe):
    """Fingerprint of the weights that a folder's vocals were made with; None if there are none (yet).

    Raises
    ------
    KitError
        If they were made by other choices than the recipe's, or nobody knows how.
    """
    folder = Path(folder)
    note = read_json(folder / "separation.json")
    if note is None:
        if next(folder.glob("*/*.flac"), None):
            raise KitError(
                f"{folder} has lost its separation.json, so nobody knows what made its vocals; delete that folder."
            )
        return None
    other = [f"{name}={note.get(name)!r}" for name, value in _choices(recipe).items() if note.get(name) != value]
    if other:
        raise KitError(refusal(folder, f"with {listed(other)}"))
    return note["weights"]


def refusal(folder, how):
    """The sentence for a folder that was made in another way."""
    return (
        f"{folder} was made {how}; choose another output folder, "
        "or delete this one, features and members beside it to start anew."
    )


def _choices(recipe):
    return {"separator": recipe.separator, "fast_separation": recipe.fast_separation}
