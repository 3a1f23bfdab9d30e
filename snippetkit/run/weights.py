"""The published weights that recipes use: which one needs which, and where they lie."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..features.pretrained.extraction import NETWORKS, View
from ..utils import releases
from ..utils.releases import Release, altered_files
from ..vocals.weights import SPLEETER, find_local, find_weights


class Row(NamedTuple):
    """One set of weights.

    Attributes
    ----------
    release : Release
    is_needed : callable
        Tells it for a Recipe.
    find : callable
        Gives the folder, after fetching it if it is not at hand; raises KitError if no source has it.
    find_local : callable
        Gives the folder if it is at hand, otherwise None.
    """

    release: Release
    is_needed: Callable
    find: Callable
    find_local: Callable


def _row_of(network):
    release = NETWORKS[network].release
    return Row(
        release, lambda recipe: network in [View.named(view).network for view in recipe.views_of_classifiers()],
        partial(releases.find, release), partial(releases.find_local, release),
    )


TABLE = (
    Row(SPLEETER, lambda recipe: recipe.separator != "none", find_weights, lambda: find_local()[0]),
    *map(_row_of, NETWORKS),
)


def needed(recipe):
    """The rows of `TABLE` that a recipe needs."""
    return [row for row in TABLE if row.is_needed(recipe)]


def describe(release, folder):
    """Lines for a person: version, licence, folder, and the SHA-256 of each file.

    Parameters
    ----------
    release : Release
    folder : Path
        Where its files lie. Files of other contents are reported, not refused: they may be weights of one's own.

    Returns
    -------
    list of str
    """
    altered = altered_files(release, folder)
    width = max(map(len, release.files))
    return [
        f"{release.name} {release.version}, licence: {release.licence}",
        f"  {folder}",
        *(f"  {name:{width}}  {'NOT as released' if name in altered else f'sha256 {digest}'}"
          for name, digest in release.files.items()),
    ]
