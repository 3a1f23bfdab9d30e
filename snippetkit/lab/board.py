"""Where the rows of a table come together: a method that was judged before, on the same clips, is only read."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..prediction.evaluation import interval
from ..prediction.scores import average
from ..recipe import Recipe
from ..training.data import TrainingData
from ..utils.artifacts import digest
from ..utils.storage import replacing
from . import methods
from .genres.recordings import training_data
from .kept import VERSION


@dataclass(frozen=True)
class Board:
    """Methods on the same clips, judged in the same folds.

    Attributes
    ----------
    folder : Path
        Gets a file for each method: what it said, and what that cost.
    data : TrainingData
    recipe : Recipe
    """

    folder: Path
    data: TrainingData
    recipe: Recipe

    def judge(self, found, inputs, test_inputs=None, *, members=0):
        """What methods say of the clips that are held out, and of the test clips.

        Parameters
        ----------
        found : list of Method
        inputs : ndarray, shape (clips, ...)
        test_inputs : ndarray, shape (test clips, ...), or None
            None asks about no test clip.
        members : int
            Judge in the first so many folds; 0 takes all.

        Returns
        -------
        list of Judged
        """
        recipe = self.recipe.with_values(members=members or self.recipe.folds)
        test_inputs = inputs[:0] if test_inputs is None else test_inputs
        of = [
            self.data.fingerprint(recipe), _checksum(inputs), _checksum(test_inputs), recipe.folds, recipe.members,
            recipe.seed,
        ]
        return [self._judged(method, inputs, test_inputs, recipe, of) for method in found]

    def rows(self, found, inputs, *, members=0):
        """Lines of a table, as `methods.row` gives them, of what `judge` finds: list of dict."""
        judged = self.judge(found, inputs, members=members)
        return [methods.row(each.name, each.features, what, self.data) for each, what in zip(found, judged)]

    def _judged(self, method, inputs, test_inputs, recipe, of):
        # What scikit-learn can be told is among the parameters; what the lab's own methods do changes with the version.
        told = {name: str(value) for name, value in method.make(0).get_params().items()}
        path = Path(self.folder) / f"{digest([VERSION, *of, method.name, method.features, told])}.npz"
        if not path.exists():
            judged = methods.judge(method, inputs, test_inputs, self.data, recipe)
            result, unknown = judged.result, judged.parameters is None
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(
                    file, valid_logits=result.valid_logits, valid_clips=result.valid_clips,
                    test_logits=result.test_logits, parameters=-1 if unknown else judged.parameters,
                    seconds=judged.seconds, milliseconds=judged.milliseconds,
                )
        with np.load(path) as found:
            answers = [found[name] for name in ("valid_logits", "valid_clips", "test_logits")]
            cost = [found[name].item() for name in ("parameters", "seconds", "milliseconds")]
        parameters = None if cost[0] < 0 else cost[0]
        return methods.Judged(methods.of_answers(self.data, recipe, *answers), parameters, *cost[1:])


def both_ways(folder, found, numbers, labels, groups, *, recipe):
    """Methods in folds that keep artists apart, beside folds drawn recording by recording.

    Parameters
    ----------
    folder : path-like
        As in `Board`.
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
    boards = [
        Board(folder, training_data(numbers[:, None], labels, each, classes=int(labels.max()) + 1, count=recipe.folds),
              recipe)
        for each in (groups, np.arange(len(labels)))
    ]
    rows = []
    for method, *ways in zip(found, *(board.judge(found, numbers) for board in boards)):
        apart, random = (_right(judged.result) for judged in ways)
        around = interval(random - apart, groups) or {"low": np.nan, "high": np.nan}
        rows.append({
            "method": method.name, "features": method.features, "apart": apart.mean(), "random": random.mean(),
            "gap": (random - apart).mean(), "low": around["low"], "high": around["high"],
        })
    return pd.DataFrame(rows)


def _right(result):
    """1.0 for each clip that is answered rightly, by rows; the clips are all there are, whatever the folds."""
    return (average(result.valid_logits).argmax(axis=1) == result.valid_labels).astype(float)


def _checksum(array):
    return zlib.crc32(np.ascontiguousarray(array))
