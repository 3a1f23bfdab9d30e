"""The parameters of a run, in their types and checked as far as possible before anything is made."""

from functools import partial
from types import SimpleNamespace

from ..features.pretrained.extraction import View
from ..recipe import Recipe
from ..songs.table import check_own_songs
from ..utils.clock import Clock
from ..utils.errors import KitError
from ..utils.parallel import check_address
from ..utils.parameters import number, path, paths, text
from ..vocals.clips import check_on_bad

_READ = {
    "recipe": text, "settings": text, "on_bad": text, "cluster": text, "beside": paths,
    **dict.fromkeys(("data", "out", "weights", "songs"), path),
    **{name: partial(number, name, kind=int) for name in ("members", "epochs")},
    **{name: partial(number, name) for name in ("max_hours", "neighbours")},
}


def read_parameters(**given):
    """Read the parameters of a run or of one of its notebooks, whichever are given.

    Parameters
    ----------
    **given
        By the names in `pipeline.NOTEBOOKS`, as papermill or a person gives them.

    Returns
    -------
    SimpleNamespace
        The same names; ``beside`` is a list of paths.

    Raises
    ------
    KitError
        If a value has the wrong type or cannot be right, whatever the data are.
    """
    values = SimpleNamespace(**{name: _READ[name](value) for name, value in given.items()})
    checks = {
        "on_bad": check_on_bad, "cluster": check_address, "max_hours": Clock, "songs": check_own_songs,
        "neighbours": _check_neighbours,
    }
    for name, check in checks.items():
        if getattr(values, name, ""):
            check(getattr(values, name))
    if "recipe" in given:
        asked = {name: getattr(values, name, 0) for name in ("members", "epochs")}
        recipe = Recipe.named(values.recipe).with_values(**{name: value for name, value in asked.items() if value})
        for view in recipe.with_settings(values.settings.split()).views_of_classifiers():
            View.named(view)
    return values


def _check_neighbours(share):
    if not 0 <= share <= 1:
        raise KitError(f"neighbours={share} is out of range. It must be between 0 and 1.")
