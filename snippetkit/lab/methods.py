"""Any way to classify clips, on the folds of songs that the networks have: what it says, and what it costs.

What comes out is the core's `Result`, so that a method can stand beside the ensemble in a table, or in it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..prediction.evaluation import interval
from ..prediction.scores import Result, average, collect
from ..songs import folds
from ..training.checkpoint import load_network
from ..training.ensemble import train_ensemble
from ..training.epoch import predict
from ..training.members import member_folder, read_histories
from ..utils.errors import KitError
from ..utils.progress import progress

_FLOOR = 1e-6       # of a probability, before its logarithm


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to classify clips.

    Attributes
    ----------
    name, features : str
        For the table: 'SVM, RBF' on '518 numbers'.
    make : callable
        Takes a seed and gives what has scikit-learn's ``fit(inputs, labels)`` and ``predict_proba(inputs)``.
    parameters : callable or None
        Takes what was fitted and gives how many numbers it learned.
    """

    name: str
    features: str
    make: Callable
    parameters: Callable | None = None


@dataclass(frozen=True)
class Judged:
    """What a method said, and what that cost.

    Attributes
    ----------
    result : Result
    parameters : int or None
        Of one fold's.
    seconds : float
        Of training, a fold.
    milliseconds : float
        To answer one clip, when many are asked at once.
    """

    result: Result
    parameters: int | None
    seconds: float
    milliseconds: float


def judge(method, inputs, test_inputs, data, recipe):
    """Fit a method on each fold of songs and let it answer the clips that it never heard.

    Parameters
    ----------
    method : Method
    inputs, test_inputs : ndarray, shape (clips, ...)
        Of the train clips in the order of ``data.train.ids``, and of the test clips.
    data : TrainingData
    recipe : Recipe
        Its folds and its seed; fewer members than folds judge fewer clips.

    Returns
    -------
    Judged

    Raises
    ------
    KitError
        If the method cannot learn from a fold's clips, or gives an answer that is no number.
    """
    logits, count = np.full((len(data.labels), data.classes), np.nan), min(recipe.folds, recipe.members)
    judged, test_logits, seconds, asked, answered, parameters = [], [], [], 0.0, 0, None
    for fold in progress(range(count), total=count, title=method.name, unit="fold"):
        train, held_out = folds.split(data, recipe, fold)
        start = time.perf_counter()
        try:
            fitted = method.make(recipe.seed + fold).fit(inputs[train], data.labels[train])
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
            logits[held_out] = as_logits(fitted, inputs[held_out], data.classes)
        except ValueError as error:     # of libraries: too few clips of a class, or of all, for what the method does
            raise KitError(
                f"{method.name} on {method.features} cannot be judged on fold {fold}, with {len(train)} clips to learn "
                f"from ({str(error).splitlines()[0]}); more clips of each class, or fewer folds, may help."
            ) from error
        judged.append(held_out)
        if not np.isfinite(logits[held_out]).all():
            raise KitError(f"{method.name} on {method.features} gave no number for some clips of fold {fold}.")
        test_logits.append(as_logits(fitted, test_inputs, data.classes))
        asked += time.perf_counter() - start
        answered += len(held_out) + len(test_inputs)
        parameters = method.parameters(fitted) if method.parameters else None
    rows = np.sort(np.concatenate(judged))
    result = of_answers(data, recipe, logits[None, rows], rows, np.stack(test_logits))
    return Judged(result, parameters, float(np.median(seconds)), 1000 * asked / answered)


def of_answers(data, recipe, valid_logits, valid_clips, test_logits):
    """The core's `Result` of what was said, by whatever has no member's folder; the arrays are as described there."""
    return Result(
        members=[], recipe=recipe, valid_logits=valid_logits, valid_clips=valid_clips,
        valid_labels=data.labels[valid_clips], test_logits=test_logits, neighbours=0.0,
        valid_songs=data.songs.of("train")["song"].to_numpy()[valid_clips],
        test_songs=data.songs.of("test")["song"].to_numpy(),
    )


def judge_network(folder, recipe, data, *, device, clock=None):
    """Train the members of a recipe, or find them trained, and gather what they say of the clips that they held out.

    Parameters
    ----------
    folder : path-like
        Of the members.
    recipe : Recipe
        Fewer members than folds judge fewer clips.
    data : TrainingData
        Or what stands in for it.
    device : Device
    clock : Clock or None

    Returns
    -------
    Judged

    Raises
    ------
    KitError
        As `train_ensemble` does; if the time was up before all were trained.
    """
    finished = train_ensemble(folder, recipe, data, devices=[device], clock=clock)
    if len(finished) < recipe.members:
        raise KitError("the time is up; what was trained is kept: run again to go on.")
    seconds = [history["seconds"].sum() for i, history in read_histories(folder).items() if i in finished]
    network = load_network(member_folder(folder, 0) / "last.pt", recipe, classes=data.classes, device=device)
    _, held_out, _ = data.datasets(recipe, 0, device)
    parameters, milliseconds = cost([network], held_out, device)
    return Judged(collect(folder, data, members=recipe.members), parameters, float(np.median(seconds)), milliseconds)


def cost(networks, clips, device):
    """What networks cost that all answer every clip.

    Parameters
    ----------
    networks : sequence of nn.Module
    clips : SnippetDataset
        On the same device.
    device : Device

    Returns
    -------
    parameters : int
    milliseconds : float
        A clip.
    """
    start = time.perf_counter()
    for network in networks:
        predict(network, clips, device)
    milliseconds = 1000 * (time.perf_counter() - start) / len(clips)
    return sum(weights.numel() for network in networks for weights in network.parameters()), milliseconds


def as_logits(fitted, inputs, classes):
    """Logarithms of probabilities, for all classes, also those that a fold had no clip of: (clips, classes)."""
    found = np.full((len(inputs), classes), _FLOOR)
    if len(inputs):     # where there are no test clips, scikit-learn would refuse to answer
        found[:, fitted.classes_] = fitted.predict_proba(inputs)
    return np.log(np.maximum(found, _FLOOR))


def row(name, features, judged, data):
    """A line of the table.

    Parameters
    ----------
    name, features : str
        Of the method or the network, and of what it takes.
    judged : Judged
    data : TrainingData

    Returns
    -------
    dict
        ``method``, ``features``, ``parameters``, ``seconds``, ``milliseconds``, ``accuracy`` with ``low`` and ``high``
        (95%, over songs), ``f1`` (mean over the classes), ``precision``, ``recall`` and ``map`` (mean average
        precision).
    """
    return {
        "method": name, "features": features, "parameters": judged.parameters,
        "seconds": judged.seconds, "milliseconds": judged.milliseconds, **figures(judged.result, data),
    }


def figures(result, data):
    """Accuracy with its interval over songs, F1, precision, recall and mean average precision of a result: dict."""
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    logits, labels = average(result.valid_logits), result.valid_labels
    logits = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)    # so that clips can be ranked by them
    answers = logits.argmax(axis=1)
    around = interval(answers == labels, data.songs.group[result.valid_clips]) or {"low": np.nan, "high": np.nan}
    precision, recall, f1, _ = precision_recall_fscore_support(labels, answers, average="macro", zero_division=0)
    is_class = np.arange(logits.shape[1]) == labels[:, None]
    present = is_class.any(axis=0)
    return {
        "accuracy": float(np.mean(answers == labels)), "low": around["low"], "high": around["high"],
        "f1": float(f1), "precision": float(precision), "recall": float(recall),
        "map": float(average_precision_score(is_class[:, present], logits[:, present], average="macro")),
    }


def sorted_table(rows):
    """Rows as `row` makes them, the most accurate first: DataFrame."""
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)
    return table.astype({"parameters": "Int64"})    # whole numbers, also where one is not known
