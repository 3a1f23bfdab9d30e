"""What the songs say about the data: duplicates whose labels disagree, near-silence, songs in train and test."""

import numpy as np
import pandas as pd

from .table import UNKNOWN

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
    sizes = song_sizes(songs)
    known = table[table["song"] != UNKNOWN]
    shared = known.groupby("song")["split"].nunique().gt(1)
    in_shared = known["song"].isin(shared.index[shared])
    findings = [
        ("songs", len(sizes), f"half of the clips in songs of {_typical(sizes)} or more"),
        ("groups", known["group"].nunique(), "songs too much alike to tell apart for certain"),
        ("clips alone in their song", int((sizes == 1).sum()), "nothing else sounds like them"),
        ("songs in train and test", int(shared.sum()), f"with {int(in_shared.sum())} clips"),
        ("identical train pairs, same label", agreeing, "samples equal to the last"),
        ("identical train pairs, other label", disagreeing, "people heard the same, said something else"),
        ("near-silent clips", int((table["level"] < NEAR_SILENT).sum()), f"below {NEAR_SILENT:g} dBFS"),
    ]
    return pd.DataFrame(findings, columns=["finding", "count", "what it means"]).set_index("finding")


def duplicate_pairs(songs, labels):
    """How many pairs of train clips hold the same samples: with equal labels, and with different ones."""
    train = songs.of("train").assign(label=np.asarray(labels))
    pairs = lambda counts: int((counts * (counts - 1) // 2).sum())  # noqa: E731
    every = pairs(train.groupby("content").size())
    agreeing = pairs(train.groupby(["content", "label"]).size())
    return agreeing, every - agreeing


def song_sizes(songs):
    """Clips of each song: Series by song number, the unknown left out."""
    known = songs.table[songs.table["song"] != UNKNOWN]
    return known.groupby("song").size()


def largest(songs, *, clips):
    """The first clips of the song that most train clips come from: list of train clip ids."""
    train = songs.of("train")
    return train["id"][train["song"] == train["song"].value_counts().idxmax()].tolist()[:clips]


def _typical(sizes):
    """The size of song that half of the clips are in, or in a larger one."""
    descending = np.sort(sizes.to_numpy())[::-1]
    return int(descending[np.searchsorted(np.cumsum(descending), descending.sum() / 2)]) if len(descending) else 0
