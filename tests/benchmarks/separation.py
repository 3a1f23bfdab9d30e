"""Vocal separation: Spleeter's own `Separator`, the network in torch, and the network in half precision.

    python tests/benchmarks/separation.py CLIPS [--weights FOLDER] [--count 24] [--rounds 3] [--json FILE]

Every implementation runs in its own process, and the implementations alternate. All use the same weights and the same
clips, the first ones in the folder CLIPS. The weights may be random, because the time does not depend on them. Reading
and writing files is not timed. The result is a table in Markdown.
"""

import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from side_by_side import compare, timed

from snippetkit import audio
from snippetkit.data.competition import mp3s_below
from snippetkit.vocals.comparison import snr
from snippetkit.vocals.package import find_python
from snippetkit.vocals.separation import RATE, stereo
from snippetkit.vocals.weights import find_weights

STOCK, EXACT, FAST = "stock `Separator`", "network, exact", "network, `fast_separation`"


@click.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.option("--weights", default="", help="Folder with Spleeter's weights.")
@click.option("--count", default=24, show_default=True, help="Number of clips.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the rows to this file.")
@click.option("--vocals", type=click.Path(path_type=Path), hidden=True)
def main(clips, weights, count, rounds, target, vocals):
    if vocals:
        return run_network(clips, Path(weights), vocals)
    weights = find_weights(weights).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sounds = [stereo(audio.load(path, sample_rate=RATE, mono=False)) for path in mp3s_below(clips)[:count]]
        np.save(folder / "clips.npy", np.stack(sounds))
        (folder / "2stems").symlink_to(weights)
        os.environ |= {"MODEL_PATH": name, "TF_CPP_MIN_LOG_LEVEL": "2"}     # for the package
        stock, exact, fast = (folder / f"{way}.npy" for way in ("stock", "exact", "fast"))
        network = [sys.executable, __file__, folder / "clips.npy", "--weights", weights, "--vocals"]
        table = compare("separation", {
            STOCK: [find_python(), Path(__file__).with_name("stock_separator.py"), folder / "clips.npy", stock],
            EXACT: [*network, exact], FAST: [*network, fast],
        }, unit="clip", rounds=rounds, target=target)
        print(f"{platform.machine()}, {os.cpu_count()} cores\n\n{table}\n")
        for way, path in ((EXACT, exact), (FAST, fast)):
            ratio = snr(np.load(stock), np.load(path))
            print(f"{way}: {ratio:.0f} dB signal-to-noise ratio against the stock vocals")


def run_network(clips, weights, target):
    """Separate clips in batches; a clip counts as its share of a batch. Prints a line like `stock_separator`."""
    from snippetkit.vocals.network import Network

    mixtures, vocals = np.load(clips), []
    network = Network(weights, fast=target.stem == "fast")
    batches = np.array_split(mixtures, max(1, len(mixtures) // network.batch))
    result = timed(lambda: vocals.extend(map(network, batches)), len(mixtures), warm_up=lambda: network(batches[0]))
    np.save(target, np.concatenate(vocals))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
