"""Audit of the data: duplicates whose labels disagree, near-silence, songs in both train and test."""

import numpy as np
import pandas as pd

NEAR_SILENT = -60.0     # dBFS


def audit(songs, labels):
    """The findings as a table.

    Parameters
    ----------
    songs : Songs
    labels : ndarray, shape (train clips,), int

    Returns
    -------
    DataFrame
        Index ``finding``, columns ``count`` and ``what it means``.
    """
    table, known = songs.table, songs.known
    agreeing, disagreeing = duplicate_pairs(songs, labels)
    sizes = known.groupby("song").size()
    is_shared = known.groupby("song")["split"].transform("nunique") > 1
    in_both = table[table["content"] != ""].groupby("content")["split"].nunique() > 1
    findings = [
        ("songs", len(sizes), f"half of the clips are in songs of {_median_size(sizes)} or more"),
        ("groups", known["group"].nunique(), "a song, or several too similar to separate"),
        ("clips alone in their song", int((sizes == 1).sum()), "no other clip of the song was found"),
        ("songs in train and test", known["song"][is_shared].nunique(), f"with {int(is_shared.sum())} clips"),
        ("identical train pairs, same label", agreeing, "equal samples"),
        ("identical train pairs, other label", disagreeing, "equal samples, different labels"),
        ("identical train clips, other group", songs.torn, "only with a table of your own; folds may leak"),
        ("identical in train and test", int(in_both.sum()), "equal samples"),
        ("near-silent clips", int((table["level"] < NEAR_SILENT).sum()), f"below {NEAR_SILENT:g} dBFS"),
    ]
    if songs.is_inferred:
        continued = int((table["follows"] >= 0).sum())
        findings.insert(3, ("clips that another continues", continued, "by the sound at the cut"))
    return pd.DataFrame(findings, columns=["finding", "count", "what it means"]).set_index("finding")


def duplicate_pairs(songs, labels):
    """Number of pairs of train clips with equal samples (silence excluded): with equal labels, with different ones.

    Parameters
    ----------
    songs : Songs
    labels : ndarray, shape (train clips,), int

    Returns
    -------
    agreeing, disagreeing : int
    """
    train = songs.of("train").assign(label=np.asarray(labels))
    train = train[train["content"] != ""]
    agreeing = _pairs(train.groupby(["content", "label"]).size())
    return agreeing, _pairs(train.groupby("content").size()) - agreeing


def largest(songs, *, clips):
    """The first clips of the song with the most train clips: list of train clip ids."""
    train = songs.of("train")
    return train["id"][train["song"] == train.groupby("song").size().idxmax()].tolist()[:clips]


def _pairs(counts):
    return int((counts * (counts - 1) // 2).sum())


def _median_size(sizes):
    """The song size that half of the clips reach or exceed."""
    descending = np.sort(sizes.to_numpy())[::-1]
    return int(descending[np.searchsorted(np.cumsum(descending), descending.sum() / 2)]) if len(descending) else 0
