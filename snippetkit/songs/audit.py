"""What the songs say about the data: duplicates whose labels disagree, near-silence, songs in train and test."""

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
    table = songs.table
    agreeing, disagreeing = duplicate_pairs(songs, labels)
    known = songs.known
    sizes = known.groupby("song").size()
    is_shared = known.groupby("song")["split"].transform("nunique") > 1
    clips = table[table["content"] != ""]
    both = clips.groupby("content")["split"].nunique() > 1
    findings = [
        ("songs", len(sizes), f"half of the clips in songs of {_typical(sizes)} or more"),
        ("groups", known["group"].nunique(), "a song, or several too much alike to tell"),
        ("clips alone in their song", int((sizes == 1).sum()), "no other clip of it was found"),
        ("songs in train and test", known["song"][is_shared].nunique(), f"with {int(is_shared.sum())} clips"),
        ("identical train pairs, same label", agreeing, "equal samples"),
        ("identical train pairs, other label", disagreeing, "people heard the same, said something else"),
        ("identical train clips, other group", songs.torn, "only by a table of one's own; folds may leak"),
        ("identical in train and test", int(both.sum()), "equal samples"),
        ("near-silent clips", int((table["level"] < NEAR_SILENT).sum()), f"below {NEAR_SILENT:g} dBFS"),
    ]
    if songs.is_inferred:
        continued = int((table["follows"] >= 0).sum())
        findings.insert(3, ("clips that another continues", continued, "by the sound at the cut"))
    return pd.DataFrame(findings, columns=["finding", "count", "what it means"]).set_index("finding")


def duplicate_pairs(songs, labels):
    """How many pairs of train clips hold the same samples (not silence): with equal labels, and with different ones.

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
    every = _pairs(train.groupby("content").size())
    agreeing = _pairs(train.groupby(["content", "label"]).size())
    return agreeing, every - agreeing


def largest(songs, *, clips):
    """The first clips of the song that most train clips come from: list of train clip ids."""
    train = songs.of("train")
    return train["id"][train["song"] == train.groupby("song").size().idxmax()].tolist()[:clips]


def _pairs(counts):
    return int((counts * (counts - 1) // 2).sum())


def _typical(sizes):
    """The size of song that half of the clips are in, or in a larger one."""
    descending = np.sort(sizes.to_numpy())[::-1]
    return int(descending[np.searchsorted(np.cumsum(descending), descending.sum() / 2)]) if len(descending) else 0
