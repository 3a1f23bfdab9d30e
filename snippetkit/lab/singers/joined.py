"""Classifiers of other kinds beside the ensemble: what each adds to it, and what they say together."""

from dataclasses import replace

import pandas as pd

from ...prediction.evaluation import compare_runs, out_of_fold_table
from ...prediction.scores import average, together


def joined(result, others):
    """One result of several kinds, each of which has one say, however many members it is made of.

    Parameters
    ----------
    result : Result
    others : sequence of Result
        Of the same clips.

    Returns
    -------
    Result
        On the clips that all of them held out.
    """
    return together(_one_say(result), [_one_say(other) for other in others])


def worth(ensemble, others, data):
    """What each classifier adds to the ensemble when their answers are averaged.

    Parameters
    ----------
    ensemble : Result
    others : dict of str to Result
    data : TrainingData

    Returns
    -------
    DataFrame
        A line for each of `others`, the most accurate pair first: ``beside``, ``alone`` and ``with it`` (the ensemble's
        accuracies on the clips that both held out), ``gain`` with ``low`` and ``high`` (95%, over songs).
    """
    alone = out_of_fold_table(ensemble, data)
    lines = []
    for name, other in others.items():
        found = compare_runs(out_of_fold_table(joined(ensemble, [other]), data), alone)
        around = found["interval"] or {"low": float("nan"), "high": float("nan")}
        lines.append({
            "beside": name, "alone": found["theirs"], "with it": found["ours"],
            "gain": found["ours"] - found["theirs"], "low": around["low"], "high": around["high"],
        })
    return pd.DataFrame(lines).sort_values("gain", ascending=False, ignore_index=True)


def _one_say(result):
    return replace(
        result, valid_logits=average(result.valid_logits)[None], test_logits=average(result.test_logits)[None],
    )
