"""Where the rows of a table come together: a method that was judged before, on the same clips, is only read."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..evaluation import interval
from ..fingerprints import digest
from ..members import TrainingData, average
from ..recipe import Recipe
from ..storage import read_json, write_json
from . import methods
from .genres import training_data
from .kept import VERSION


@dataclass(frozen=True)
class Board:
    """Methods on the same clips, judged in the same folds.

    Attributes
    ----------
    folder : Path
        Gets a JSON a row.
    data : TrainingData
    recipe : Recipe
    """

    folder: Path
    data: TrainingData
    recipe: Recipe

    def judge(self, found, inputs, *, members=0):
        """Rows of methods, as `methods.row` gives them.

        Parameters
        ----------
        found : list of Method
        inputs : ndarray, shape (clips, ...)
        members : int
            Judge in the first so many folds; 0 takes all.

        Returns
        -------
        list of dict
        """
        recipe = self.recipe.having(members=members or self.recipe.folds)

        def row(method):
            judged = methods.judge(method, inputs, inputs[:0], self.data, recipe)
            return methods.row(method.name, method.features, judged, self.data)

        of = [self.data.fingerprint(recipe), _checksum(inputs), recipe.folds, recipe.members, recipe.seed]
        return [_kept(self.folder, method, of, row) for method in found]


def both_ways(folder, found, numbers, labels, groups, *, recipe):
    """Methods in folds that keep artists apart, beside folds drawn recording by recording.

    Parameters
    ----------
    folder : path-like
        Gets a JSON a row.
    found : list of Method
    numbers : ndarray, shape (clips, numbers)
    labels, groups : ndarray, shape (clips,), int
    recipe : Recipe
        Its folds and its seed.

    Returns
    -------
    DataFrame
        ``method``, ``features``, ``apart`` and ``random`` (accuracies), ``gap`` between them with ``low`` and ``high``
        (95%, over artists).
    """
    ways = [
        training_data(numbers[:, None], labels, each, classes=int(labels.max()) + 1, count=recipe.folds)
        for each in (groups, np.arange(len(labels)))
    ]

    def row(method):
        apart, random = (_right(methods.judge(method, numbers, numbers[:0], data, recipe).result) for data in ways)
        around = interval(random - apart, groups) or {"low": np.nan, "high": np.nan}
        return {
            "method": method.name, "features": method.features, "apart": apart.mean(), "random": random.mean(),
            "gap": (random - apart).mean(), "low": around["low"], "high": around["high"],
        }

    of = [*(data.fingerprint(recipe) for data in ways), recipe.folds, recipe.seed]
    return pd.DataFrame([_kept(folder, method, of, row) for method in found])


def _right(result):
    """1.0 for each clip that is answered rightly, by rows; the clips are all there are, whatever the folds."""
    return (average(result.valid_logits).argmax(axis=1) == result.valid_labels).astype(float)


def _kept(folder, method, of, make):
    # What scikit-learn can be told is among the parameters; what the lab's own methods do changes with the version.
    told = {name: str(value) for name, value in method.make(0).get_params().items()}
    path = Path(folder) / f"{digest([VERSION, *of, method.name, method.features, told])}.json"
    row = read_json(path)
    if row is None:
        row = make(method)
        write_json(path, row)
    return row


def _checksum(array):
    return zlib.crc32(np.ascontiguousarray(array))
