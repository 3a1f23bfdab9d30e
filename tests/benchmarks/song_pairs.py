"""Accuracy of songs: python tests/benchmarks/song_pairs.py [--seeds 11,12,13,14] [--data DATA --train-songs 149].

On demos the songs are known. Precision is the share of the pairs of clips in one inferred song (or group) that are of
one song; recall is the share of the pairs of one song that are in one inferred song (or group). The thresholds were
chosen on demos of seeds 0 to 2, with an eye on DATA.

If the train and the test clips of a competition share no song, both can be estimated without knowing any song. A pair
of a train and a test clip in one inferred song is wrong, and pairs of train clips are assumed to be wrong as often.
The recall needs the number of songs in train, which are assumed to be equally long. If songs of one album or singer
sound more alike than songs of train and test do, precision and recall are lower than estimated.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from side_by_side import markdown
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
    rows = [_known(seed) for seed in seeds.split(",") if seed]
    if data:
        rows.append(_disjoint(data, train_songs))
    click.echo(markdown(("data", "clips", "songs", "precision, recall of songs", "of groups"), rows))


def _known(seed):
    with tempfile.TemporaryDirectory() as folder:
        demo.make(folder, seed=int(seed))
        truth = pd.read_csv(Path(folder, "answers", "songs.csv"))["song"]
        scores = []
        for inferred in _songs_and_groups(competition.find(folder)):
            (_, wrong), (missed, right) = pair_confusion_matrix(truth, inferred)
            scores.append(f"{right / (right + wrong):.3f}, {right / (right + missed):.3f}")
    return f"demo {seed}", len(truth), truth.nunique(), *scores


def _disjoint(data, songs):
    files = competition.find(data)
    train, test = len(files.train), len(files.test)
    pairs, true = _pairs(train), songs * _pairs(train / songs)
    scores = []
    for inferred in _songs_and_groups(files):
        in_train, in_test = (np.bincount(part, minlength=len(inferred)) for part in np.split(inferred, [train]))
        positive, error_rate = _pairs(in_train).sum(), (in_train * in_test).sum() / (train * test)
        right = positive - error_rate * (pairs - true)
        scores.append(f"{right / positive:.3f}, {right / true:.3f}")
    return "train clips, estimated", train, songs, *scores


def _songs_and_groups(files):
    return infer(trace_clips([*files.train, *files.test]))[:2]


def _pairs(clips):
    return clips * (clips - 1) / 2


if __name__ == "__main__":
    main()
