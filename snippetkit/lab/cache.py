"""Results that take long to compute, each in a file whose name ends in a digest of what it was computed from.

Not joblib.Memory: it stores pickles, which run code when they are loaded, and a full disk is only a warning to it.
"""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..recipe import Recipe
from ..training.data import TrainingData
from ..utils.artifacts import digest
from ..utils.clock import Clock
from ..utils.errors import KitError
from ..utils.storage import replacing, write_table
from .methods import TIME_IS_UP, cross_validate, make_evaluation, table_row

VERSION = 3     # of everything that the lab computes from clips; increase it when a result changes


def cached(folder, name, source, compute):
    """Read arrays from ``<name>-<digest of the source>.npz`` in a folder, or compute them and write the file.

    Parameters
    ----------
    folder : path-like
    name : str
    source : list
        What the arrays depend on, as JSON values.
    compute : callable
        Returns a dict of str to ndarray.

    Returns
    -------
    dict of str to ndarray
        Always as read from the file: a sum over an array depends on its layout in memory, which a file may change.

    Raises
    ------
    KitError
        If the file cannot be written.
    """
    path = Path(folder, f"{name}-{digest([VERSION, *source])}.npz")
    if not path.exists():
        arrays = compute()
        with replacing(path) as temporary:
            np.savez(temporary, **arrays)
    with np.load(path) as content:
        return dict(content)


def cached_array(folder, name, source, compute):
    """`cached` for a function that returns one ndarray."""
    return cached(folder, name, source, lambda: {"array": compute()})["array"]


def cached_table(folder, name, source, compute):
    """`cached` for a function that returns a DataFrame, which is kept as CSV; always as read from the file."""
    path = Path(folder, f"{name}-{digest([VERSION, *source])}.csv")
    if not path.exists():
        write_table(path, compute())
    return pd.read_csv(path)


def checksum(array):
    """CRC-32 of the values of an array: int.

    Examples
    --------
    >>> checksum(np.arange(6).reshape(2, 3).T) == checksum(np.array([[0, 3], [1, 4], [2, 5]]))
    True
    """
    return zlib.crc32(np.ascontiguousarray(array))


@dataclass(frozen=True)
class Comparison:
    """Methods that are evaluated on the same clips and folds; every evaluation is kept on disk.

    Attributes
    ----------
    folder : Path
        Gets one file per method and input.
    data : TrainingData
    recipe : Recipe
    clock : Clock
        Checked before each method that has no evaluation yet.
    """

    folder: Path
    data: TrainingData
    recipe: Recipe
    clock: Clock = field(default_factory=Clock)

    def evaluate(self, methods, inputs, test_inputs=None, *, folds=0):
        """Cross-validate methods.

        Parameters
        ----------
        methods : list of Method
        inputs : ndarray, shape (clips, ...)
        test_inputs : ndarray, shape (test clips, ...), or None
            None predicts no test clip.
        folds : int
            Use only the first so many folds; 0 uses all.

        Returns
        -------
        list of Evaluation

        Raises
        ------
        KitError
            If the time limit was reached; as `cross_validate`.
        """
        recipe = self.recipe.with_values(members=folds or self.recipe.folds)
        test_inputs = inputs[:0] if test_inputs is None else test_inputs
        source = [
            self.data.fingerprint(recipe), checksum(inputs), checksum(test_inputs), recipe.folds, recipe.members,
            recipe.seed,
        ]
        return [self._evaluate(method, inputs, test_inputs, recipe, source) for method in methods]

    def rows(self, methods, inputs, *, folds=0):
        """Rows of the table of methods, as `methods.table_row` makes them: list of dict."""
        evaluations = self.evaluate(methods, inputs, folds=folds)
        return [table_row(method.name, method.features, evaluation, self.data)
                for method, evaluation in zip(methods, evaluations)]

    def _evaluate(self, method, inputs, test_inputs, recipe, source):
        # The parameters of scikit-learn's estimators are part of the key; for the lab's own code there is VERSION.
        parameters = {name: str(value) for name, value in method.make(0).get_params().items()}
        source = [*source, method.name, method.features, parameters]

        def compute():
            if self.clock.would_overrun(0):
                raise KitError(TIME_IS_UP)
            return cross_validate(method, inputs, test_inputs, self.data, recipe)

        return make_evaluation(self.data, recipe, **cached(self.folder, "evaluation", source, compute))
