"""All methods on the split that a dataset suggests, which published figures usually used."""

import numpy as np

from ...utils.clock import Clock
from .. import classical
from ..cache import Comparison
from ..methods import cross_validate_network, sorted_table, table_row
from . import splits, transfer, tuning
from .recordings import PARTS


def missing_parts(clips):
    """Names of the parts of the suggested split that have no recordings: list of str; all if there is no such split."""
    return [name for number, name in enumerate(PARTS) if clips.part is None or number not in clips.part]


def count_shared(clips):
    """Number of test recordings by artists that are also in the training or validation part."""
    is_test = clips.part == PARTS.index("test")
    return int(np.isin(clips.groups[is_test], clips.groups[~is_test]).sum())


def make_training_data(pictures, clips):
    """The core's training data with the suggested split as its folds: 0 is the test part, 1 the validation part.

    Parameters
    ----------
    pictures : ndarray, shape (clips, frames, bands)
    clips : Recordings
        With all parts.

    Returns
    -------
    TrainingData
        An artist of several parts counts as several groups, because no group may be in two folds.
    """
    groups = np.unique(np.stack([clips.groups, clips.part]), axis=1, return_inverse=True)[1].ravel()
    return splits.make_training_data(
        pictures, clips.labels, groups, classes=len(clips.names), count=len(PARTS), fold=clips.part
    )


def evaluate(folder, clips, numbers, pictures, layers, networks, *, chosen, device, clock=None):
    """Train every method of the study on the training and validation part, and evaluate it on the test part.

    Hyperband trains its trials on the training part and compares them on the validation part.

    Parameters
    ----------
    folder : path-like
        Of all results of the notebook.
    clips : Recordings
        With all parts.
    numbers : ndarray, shape (clips, 518)
    pictures : ndarray, shape (clips, frames, bands)
    layers : dict
        As `transfer.cached_layer_outputs` returns it.
    networks : dict
        Name to Recipe; the first is also that of Hyperband.
    chosen : SimpleNamespace
        As `recordings.resolve_parameters` returns it.
    device : Device
    clock : Clock or None

    Returns
    -------
    DataFrame
        As `methods.sorted_table`.
    """
    data, picture = make_training_data(pictures, clips), "log-mel picture"
    recipes = {name: recipe.with_values(folds=len(PARTS), members=1) for name, recipe in networks.items()}
    first = next(iter(recipes.values()))
    comparison = Comparison(folder / "rows", data, first, clock or Clock())
    handcrafted = [*classical.clip_methods("518 numbers"), *classical.dense_networks("518 numbers")]
    rows = comparison.rows(handcrafted, numbers, folds=1)
    for name, recipe in recipes.items():
        members = folder / "networks, suggested split" / name
        rows.append(table_row(
            name, picture, cross_validate_network(members, recipe, data, device=device, clock=clock), data
        ))
    study = tuning.search(folder / "search", data, first, device=device, tries=chosen.tries,
                          most_filters=chosen.filters, clock=clock)
    tuned = comparison.rows([tuning.tuned_method(study, first, device)], pictures, folds=1)
    rows += [{**row, "features": picture} for row in tuned]
    for layer, outputs in layers.items():
        methods = transfer.layer_methods(layer, shares=chosen.shares, cv=chosen.cv)
        rows += comparison.rows(methods, outputs, folds=1)
    return sorted_table(rows)
