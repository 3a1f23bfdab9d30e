"""How well songs are told on demos, where they are known: python tests/benchmarks/song_pairs.py [--seeds 11,12,13,14].

The thresholds were chosen on demos of seeds 0 to 5. Prints a table in Markdown: of the pairs of clips said to be of one
song (or group) the share that is, and of the pairs that are the share that is said to be.
"""

import tempfile
from pathlib import Path

import click
import pandas as pd
from sklearn.metrics.cluster import pair_confusion_matrix

from snippetkit import competition, demo
from snippetkit.songs.contents import look
from snippetkit.songs.inference import infer
from snippetkit.songs.traces import listen


@click.command()
@click.option("--seeds", default="11,12,13,14", show_default=True)
def main(seeds):
    click.echo("| seed | clips | songs | precision, recall of songs | precision, recall of groups |")
    click.echo("| --- | --- | --- | --- | --- |")
    for seed in seeds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            _score(int(seed), Path(folder) / "competition")


def _score(seed, folder):
    found = competition.find(demo.make(folder, seed=seed))
    clips = [*found.train, *found.test]
    song, group, _ = infer(listen(clips), look(clips)["content"])
    truth = pd.read_csv(folder / "answers" / "songs.csv")["song"]
    cells = []
    for told in (song, group):
        (_, wrong), (missed, right) = pair_confusion_matrix(truth, told)
        cells.append(f"{right / (right + wrong):.3f}, {right / (right + missed):.3f}")
    click.echo(f"| {seed} | {len(clips)} | {truth.nunique()} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
