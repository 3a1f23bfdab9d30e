"""Cross-validation of any method, in the folds that the ensemble has: what it predicts, and what it costs.

Predictions become the core's `Result`, so that a method can stand beside the ensemble in a table, or be averaged with
it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..prediction.evaluation import interval
from ..prediction.scores import Result, average, collect
from ..songs import folds
from ..training.ensemble import train_ensemble
from ..training.epoch import predict
from ..training.members import member_folder, read_histories
from ..training.weights import load_network
from ..utils.artifacts import fingerprint
from ..utils.errors import KitError
from ..utils.progress import progress
from ..utils.storage import read_json, write_json

_FLOOR = 1e-6       # of a probability, before its logarithm
TIME_IS_UP = "the time limit was reached. What is finished is kept: run again to continue."


@dataclass(frozen=True)
class Method:
    """A way to classify clips.

    Attributes
    ----------
    name, features : str
        For the table: 'SVM, RBF' on '518 numbers'.
    make : callable
        Takes a seed; returns an estimator with scikit-learn's ``fit(inputs, labels)`` and ``predict_proba(inputs)``.
    count_parameters : callable
        Takes the fitted estimator; returns the number of its parameters.
    """

    name: str
    features: str
    make: Callable
    count_parameters: Callable


@dataclass(frozen=True)
class Evaluation:
    """What a method predicted, and what that cost.

    Attributes
    ----------
    result : Result
    parameters : int
        Of the model of one fold.
    seconds : float
        Training time per fold, the median; for the ensemble of a run, the sum over all members.
    milliseconds : float
        Prediction time per clip, when many are predicted at once.
    """

    result: Result
    parameters: int
    seconds: float
    milliseconds: float


def cross_validate(method, inputs, test_inputs, data, recipe):
    """Fit a method on each fold's training set and predict its validation set and the test set.

    Parameters
    ----------
    method : Method
    inputs, test_inputs : ndarray, shape (clips, ...)
        Of the train clips, in the order of ``data.train.ids``, and of the test clips.
    data : TrainingData
    recipe : Recipe
        Its folds and its seed; with fewer members than folds, only the first folds are used.

    Returns
    -------
    dict
        Arrays and numbers for `make_evaluation`.

    Raises
    ------
    KitError
        If the method cannot learn from the clips of a fold, or predicts NaN.
    """
    logits, test_logits = np.full((len(data.labels), data.classes), np.nan), []
    training_seconds, prediction_seconds, count = [], 0.0, min(recipe.folds, recipe.members)
    for fold in progress(range(count), total=count, title=method.name, unit="fold"):
        train, valid = folds.split(data, recipe, fold)
        start = time.perf_counter()
        try:
            fitted = method.make(recipe.seed + fold).fit(inputs[train], data.labels[train])
            training_seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
            logits[valid] = _predict_logits(fitted, inputs[valid], data.classes)
        except ValueError as error:     # from scikit-learn: too few clips of a class, or in all
            raise KitError(
                f"{method.name} on {method.features} cannot be trained on the {len(train)} clips of fold {fold} "
                f"({str(error).splitlines()[0]}). Give more clips of each class, or choose fewer folds."
            ) from error
        if not np.isfinite(logits[valid]).all():
            raise KitError(f"{method.name} on {method.features} predicted NaN for some clips of fold {fold}.")
        test_logits.append(_predict_logits(fitted, test_inputs, data.classes))
        prediction_seconds += time.perf_counter() - start
    rows = np.flatnonzero(np.isfinite(logits[:, 0]))
    return {
        "valid_logits": logits[None, rows], "valid_clips": rows, "test_logits": np.stack(test_logits),
        "parameters": method.count_parameters(fitted), "seconds": np.median(training_seconds),
        "milliseconds": 1000 * prediction_seconds / (len(rows) + count * len(test_inputs)),
    }


def _predict_logits(fitted, inputs, classes):
    """Logarithms of probabilities of all classes, also those that a fold has no clip of: (clips, classes)."""
    probabilities = np.full((len(inputs), classes), _FLOOR)
    if len(inputs):     # scikit-learn refuses an empty test set
        probabilities[:, fitted.classes_] = fitted.predict_proba(inputs)
    return np.log(np.maximum(probabilities, _FLOOR))


def make_evaluation(data, recipe, *, valid_logits, valid_clips, test_logits, parameters, seconds, milliseconds):
    """The `Evaluation` of predictions and costs that `cross_validate` returned."""
    result = Result(
        members=[], recipe=recipe, valid_logits=valid_logits, valid_clips=valid_clips,
        valid_labels=data.labels[valid_clips], test_logits=test_logits, neighbours=0.0,
        valid_songs=data.songs.of("train")["song"].to_numpy()[valid_clips],
        test_songs=data.songs.of("test")["song"].to_numpy(),
    )
    return Evaluation(result, int(parameters), float(seconds), float(milliseconds))


def cross_validate_network(folder, recipe, data, *, device, clock=None):
    """Train the members of a recipe, unless they are finished, and collect their out-of-fold and test predictions.

    Parameters
    ----------
    folder : path-like
        Of the members.
    recipe : Recipe
        With fewer members than folds, only the first folds are used.
    data : TrainingData
    device : Device
    clock : Clock or None

    Returns
    -------
    Evaluation

    Raises
    ------
    KitError
        As `train_ensemble`; if the time limit was reached before all members were trained.
    """
    train_all(folder, recipe, data, device=device, clock=clock)
    seconds = [rows["seconds"].sum() for member, rows in read_histories(folder).items() if member < recipe.members]
    result = collect(folder, data, members=recipe.members)
    return Evaluation(result, seconds=float(np.median(seconds)), **_cost_of_first(folder, recipe, data, device))


def _cost_of_first(folder, recipe, data, device):
    """`measure_cost` of the first member, measured once on a device."""
    path, member = Path(folder, "cost.json"), member_folder(folder, 0)
    measured_on = {"member": fingerprint([member / "done.json"]), "device": device.title}
    kept = read_json(path)
    if not kept or kept["measured_on"] != measured_on:
        networks = load_networks(folder, [0], recipe, classes=data.classes, device=device)
        _, valid, _ = data.datasets(recipe, 0, device)
        kept = {"measured_on": measured_on, "cost": measure_cost(networks, valid, device)}
        write_json(path, kept)
    return kept["cost"]


def train_all(folder, recipe, data, *, device, clock=None):
    """Train all members of a recipe; KitError if the time limit was reached before."""
    if len(train_ensemble(folder, recipe, data, devices=[device], clock=clock)) < recipe.members:
        raise KitError(TIME_IS_UP)


def load_networks(folder, members, recipe, *, classes, device):
    """Networks of finished members, by their numbers: list of nn.Module."""
    folders = (member_folder(folder, member) for member in members)
    return [load_network(path, recipe, classes=classes, device=device) for path in folders]


def predict_average(networks, clips, device):
    """Mean logits of several networks for a SnippetDataset: ndarray (clips, classes)."""
    return average(np.stack([predict(network, clips, device) for network in networks]))


def measure_cost(networks, clips, device):
    """Size and speed of networks that are averaged.

    Parameters
    ----------
    networks : sequence of nn.Module
    clips : SnippetDataset
        On the same device.
    device : Device

    Returns
    -------
    dict
        ``parameters`` of all networks, and ``milliseconds`` per clip.
    """
    start = time.perf_counter()
    predict_average(networks, clips, device)
    milliseconds = 1000 * (time.perf_counter() - start) / len(clips)
    parameters = sum(weights.numel() for network in networks for weights in network.parameters())
    return {"parameters": parameters, "milliseconds": milliseconds}


def table_row(name, features, evaluation, data):
    """A row of the table of methods.

    Parameters
    ----------
    name, features : str
        Of the method and of its inputs.
    evaluation : Evaluation
    data : TrainingData

    Returns
    -------
    dict
        ``method``, ``features``, ``parameters``, ``seconds``, ``milliseconds``, and the metrics of `compute_metrics`.
    """
    return {
        "method": name, "features": features, "parameters": evaluation.parameters, "seconds": evaluation.seconds,
        "milliseconds": evaluation.milliseconds, **compute_metrics(evaluation.result, data),
    }


def compute_metrics(result, data):
    """Metrics of out-of-fold predictions.

    Parameters
    ----------
    result : Result
    data : TrainingData

    Returns
    -------
    dict
        ``accuracy`` with ``low`` and ``high`` (95% confidence interval, over songs); ``f1``, ``precision``, ``recall``
        and ``map`` (mean average precision), each the mean over the classes.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    logits, labels = average(result.valid_logits), result.valid_labels
    logits = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)    # to log-probabilities, which rank clips
    predicted = logits.argmax(axis=1)
    bounds = interval_or_nan(predicted == labels, data.songs.group[result.valid_clips])
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    is_class = np.arange(logits.shape[1]) == labels[:, None]
    present = is_class.any(axis=0)
    return {
        "accuracy": float(np.mean(predicted == labels)), **bounds,
        "f1": float(f1), "precision": float(precision), "recall": float(recall),
        "map": float(average_precision_score(is_class[:, present], logits[:, present], average="macro")),
    }


def interval_or_nan(values, groups):
    """``low`` and ``high`` of `evaluation.interval`; NaN for too few groups.

    Examples
    --------
    >>> interval_or_nan(np.ones(3), np.arange(3))
    {'low': nan, 'high': nan}
    """
    bounds = interval(values, groups) or {}
    return {name: bounds.get(name, float("nan")) for name in ("low", "high")}


def sorted_table(rows):
    """Rows of `table_row` as a DataFrame, the most accurate first.

    Examples
    --------
    >>> sorted_table([{"method": "a", "accuracy": 0.5}, {"method": "b", "accuracy": 0.8}])["method"].tolist()
    ['b', 'a']
    >>> sorted_table([]).empty
    True
    """
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True) if rows else pd.DataFrame()
