"""How well songs are told: python tests/benchmarks/song_pairs.py [--seeds 11,12,13,14] [--data DATA --train-songs 149].

On demos, where songs are known: of the pairs of clips said to be of one song (or group) the share that is, and of the
pairs that are the share that is said to be. The thresholds were chosen on demos of seeds 0 to 2, with an eye on DATA.

On a competition whose train and test clips share no song the same can be estimated without knowing one song: a pair
of a train and a test clip that is said to be of one song is wrong, and pairs of train clips are wrong as often. The
recall needs the number of songs in train, and takes them for equally long. Where songs of one album or singer sound
more alike than songs of train and test do, precision is lower than it says, and recall too.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from sklearn.metrics.cluster import pair_confusion_matrix

from snippetkit.data import competition, demo
from snippetkit.songs.inference import infer
from snippetkit.songs.traces import trace_clips


@click.command()
@click.option("--seeds", default="11,12,13,14", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="A competition whose train and test share no song.")
@click.option("--train-songs", type=click.IntRange(min=1), help="How many songs its train clips are of.")
def main(seeds, data, train_songs):
    if (data is None) != (train_songs is None):
        raise click.UsageError("--data and --train-songs go together.")
    click.echo("| data | clips | songs | precision, recall of songs | of groups |")
    click.echo("| --- | --- | --- | --- | --- |")
    for seed in filter(None, seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            _known(int(seed), Path(folder) / "competition")
    if data:
        _disjoint(competition.find(data), train_songs)


def _known(seed, folder):
    found = competition.find(demo.make(folder, seed=seed))
    truth = pd.read_csv(folder / "answers" / "songs.csv")["song"]
    scores = []
    for told in _told(found):
        (_, wrong), (missed, right) = pair_confusion_matrix(truth, told)
        scores.append((right / (right + wrong), right / (right + missed)))
    _line(f"demo {seed}", len(truth), truth.nunique(), scores)


def _disjoint(found, songs):
    train, test = len(found.train), len(found.test)
    pairs, true = _pairs(train), songs * _pairs(train / songs)
    scores = []
    for told in _told(found):
        ours, theirs = (np.bincount(each, minlength=told.max() + 1) for each in (told[:train], told[train:]))
        said, rate = _pairs(ours).sum(), (ours * theirs).sum() / (train * test)
        right = said - rate * (pairs - true)
        scores.append((right / said, right / true))
    _line("train clips, estimated", train, songs, scores)


def _told(found):
    clips = [*found.train, *found.test]
    return infer(trace_clips(clips))[:2]


def _pairs(clips):
    return clips * (clips - 1) / 2


def _line(name, clips, songs, scores):
    cells = " | ".join(f"{precision:.3f}, {recall:.3f}" for precision, recall in scores)
    click.echo(f"| {name} | {clips} | {songs} | {cells} |")


if __name__ == "__main__":
    main()
