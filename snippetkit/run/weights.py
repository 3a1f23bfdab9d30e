"""The published weights that recipes use: which one needs which, and where they lie."""

from collections.abc import Callable
from typing import NamedTuple

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
        Gives the folder if it is at hand, otherwise None, and what else was seen.
    """

    release: Release
    is_needed: Callable
    find: Callable
    find_local: Callable


TABLE = (Row(SPLEETER, lambda recipe: recipe.separator != "none", find_weights, find_local),)


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
