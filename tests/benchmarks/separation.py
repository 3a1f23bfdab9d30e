"""Vocal separation: Spleeter's own `Separator`, the network in torch, and the network in half precision.

    python tests/benchmarks/separation.py CLIPS [--weights FOLDER] [--count 24] [--rounds 3] [--json FILE]

Every way runs in a process of its own, and the ways take turns. All use the same weights and the same clips, the first
ones in the folder CLIPS. The weights may be random, because the time does not depend on them. Reading and writing files
is not timed. The result is a table in Markdown.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from side_by_side import table

from snippetkit import audio
from snippetkit.data.competition import mp3s_below
from snippetkit.vocals.comparison import snr
from snippetkit.vocals.package import find_python
from snippetkit.vocals.separation import RATE, stereo
from snippetkit.vocals.weights import find_weights

# way: the name of its vocals, <name>.npy
WAYS = {"stock `Separator`": "stock", "network, exact": "exact", "network, `fast_separation`": "fast"}


@click.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.option("--weights", default="", help="Folder with Spleeter's weights.")
@click.option("--count", default=24, show_default=True, help="Number of clips.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the rows to this file.")
@click.option("--only", type=click.Choice(["exact", "fast"]), hidden=True)
def main(clips, weights, count, rounds, target, only):
    if only:
        return run_network(clips, Path(weights), fast=only == "fast")
    weights = find_weights(weights)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sounds = [stereo(audio.load(path, sample_rate=RATE, mono=False)) for path in mp3s_below(clips)[:count]]
        np.save(folder / "clips.npy", np.stack(sounds))
        (folder / "2stems").symlink_to(weights.resolve())
        runs = [{way: run_way(stem, folder, weights) for way, stem in WAYS.items()} for _ in range(rounds)]
        vocals = {way: np.load(folder / f"{stem}.npy") for way, stem in WAYS.items()}
    rows = summarise(runs, len(sounds))
    if target:
        target.write_text(json.dumps(rows, indent=2))
    print(f"{platform.machine()}, {os.cpu_count()} cores\n\n{table(rows)}\n")
    stock, *networks = WAYS
    for way in networks:
        print(f"{way}: {snr(vocals[stock], vocals[way]):.0f} dB signal-to-noise ratio against the stock vocals")


def run_way(stem, folder, weights):
    """One run of a way in a process of its own: what `stock_separator` or `run_network` prints."""
    clips = folder / "clips.npy"
    if stem == "stock":
        command = [find_python(), Path(__file__).with_name("stock_separator.py"), clips, folder / "stock.npy"]
    else:
        command = [sys.executable, __file__, clips, "--weights", weights, "--only", stem]
    environment = {**os.environ, "MODEL_PATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command[1]} failed: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_network(clips, weights, *, fast):
    """Separate with the network, and print a line of JSON like that of `stock_separator`."""
    from snippetkit.vocals.network import Network

    mixtures = np.load(clips)
    network = Network(weights, fast=fast)
    batches = np.array_split(mixtures, max(1, len(mixtures) // network.batch))
    network(batches[0])     # warm-up
    vocals, seconds = [], []
    for batch in batches:
        start = time.perf_counter()
        vocals.append(network(batch))
        seconds += len(batch) * [(time.perf_counter() - start) / len(batch)]
    np.save(clips.with_name("fast.npy" if fast else "exact.npy"), np.concatenate(vocals))
    print(json.dumps({"seconds": seconds, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def summarise(runs, count):
    """Rows for `side_by_side.table`; for a network, a clip counts as its share of a batch."""
    times = {way: [1000 * np.median(run[way]["seconds"]) for run in runs] for way in WAYS}
    baseline = np.median(times[next(iter(WAYS))])
    rows = []
    for way in WAYS:
        low, median, high = np.percentile(times[way], [0, 50, 100])
        rows.append({
            "part": "separation", "unit": "clip", "rounds": len(runs), "is_floor": False, "over_floor": None,
            "way": way, "count": count, "low": low, "median": median, "high": high, "ratio": baseline / median,
            "memory": float(np.median([run[way]["bytes"] for run in runs])) / 1e9,
        })
    return rows


if __name__ == "__main__":
    main()
