"""Out-of-fold figures: average precision and ROC AUC per tag, accuracy per column of classes."""

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score, roc_auc_score

from ..methods import interval_or_nan


def probabilities(logits, labels):
    """Probabilities of all outputs: of each tag by itself, or of the classes of each column.

    Parameters
    ----------
    logits : ndarray, shape (clips, outputs)
    labels : Labels

    Returns
    -------
    ndarray, shape (clips, outputs), float64
    """
    if labels.is_tags:
        return expit(logits)
    return np.hstack([softmax(part, axis=1) for part in columns_of(logits, labels)])


def columns_of(outputs, labels):
    """Cut arrays of outputs into those of each column of classes: list of ndarray."""
    ends = np.cumsum([len(classes) for classes in labels.columns.values()])
    return np.split(outputs, ends[:-1], axis=1)


def evaluate_tags(logits, targets, tags):
    """Figures of each tag and, in the last row, their mean.

    Parameters
    ----------
    logits : ndarray, shape (clips, tags)
        Only their order within a tag matters.
    targets : ndarray, shape (clips, tags), int
        0 or 1; both must occur in each tag.
    tags : sequence of str

    Returns
    -------
    DataFrame
        ``tag``, ``positives``, ``chance`` (average precision of random scores), ``average_precision``, ``roc_auc``.

    Examples
    --------
    >>> table = evaluate_tags(np.array([[2.0], [1.0], [0.0]]), np.array([[1], [0], [1]]), ["drums"])
    >>> table["tag"].tolist(), table["average_precision"].round(3).tolist()
    (['drums', 'mean'], [0.833, 0.833])
    """
    rows = [{
        "tag": tag, "positives": int(target.sum()), "chance": target.mean(),
        "average_precision": average_precision_score(target, scores), "roc_auc": roc_auc_score(target, scores),
    } for tag, target, scores in zip(tags, targets.T, logits.T)]
    table = pd.DataFrame(rows).astype({"positives": "Int64"})
    mean = table.drop(columns=["tag", "positives"]).mean()
    return pd.concat([table, pd.DataFrame([{"tag": "mean", **mean}])], ignore_index=True)[list(table)]


def evaluate_columns(logits, labels):
    """Accuracy of each column of classes and, in the last row, the mean over columns.

    Parameters
    ----------
    logits : ndarray, shape (clips, outputs)
    labels : Labels
        Of the same clips.

    Returns
    -------
    DataFrame
        ``column``, ``classes``, ``chance`` (share of the most frequent class), ``accuracy``, and ``low`` and ``high``,
        its 95% confidence interval over groups.
    """
    rows = []
    for (name, classes), scores, targets in zip(
        labels.columns.items(), columns_of(logits, labels), columns_of(labels.targets, labels),
    ):
        is_right = scores.argmax(axis=1) == targets.argmax(axis=1)
        bounds = interval_or_nan(is_right, labels.groups)
        rows.append({
            "column": name, "classes": len(classes), "chance": targets.mean(axis=0).max(), "accuracy": is_right.mean(),
            "low": bounds["low"], "high": bounds["high"],
        })
    table = pd.DataFrame(rows).astype({"classes": "Int64"})
    mean = {"column": "mean", **table[["chance", "accuracy"]].mean()}
    return pd.concat([table, pd.DataFrame([mean])], ignore_index=True)[list(table)]


def score_table(logits, labels, fold):
    """Out-of-fold probabilities of every recording.

    Returns
    -------
    DataFrame
        ``file`` as in the table of labels, ``group``, ``fold``, and ``probability_<tag>`` per tag, or
        ``probability_<column>_<class>`` per class.
    """
    names = [f"probability_{name.replace(': ', '_')}" for name in labels.outputs]
    columns = dict(zip(names, probabilities(logits, labels).T))
    return pd.DataFrame({"file": labels.names, "group": labels.groups, "fold": fold, **columns})
