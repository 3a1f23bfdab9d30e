"""Separation side by side: Spleeter's own `Separator`, the kit's network, and the network in half precision.

    python tests/benchmarks/separation.py CLIPS [--weights FOLDER] [--count 24] [--rounds 3] [--json FILE]

Every way has a process of its own, one after the other and all of them several times over, on the same clips (the first
ones in the folder CLIPS) and weights, which may be random: time does not depend on them. Reading and writing files is
not counted. Prints a table in Markdown.
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

STOCK, EXACT, FAST = "stock `Separator`", "network, exact", "network, `fast_separation`"


@click.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.option("--weights", default="", help="Folder with Spleeter's weights.")
@click.option("--count", default=24, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the rows there, too.")
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
        found = {STOCK: [], EXACT: [], FAST: []}
        for _ in range(rounds):
            found[STOCK].append(run_stock(folder))
            for way, option in ((EXACT, "exact"), (FAST, "fast")):
                command = [sys.executable, __file__, folder / "clips.npy", "--weights", weights, "--only", option]
                found[way].append(answer(command))
        vocals = {STOCK: "stock", EXACT: "exact", FAST: "fast"}
        vocals = {way: np.load(folder / f"{stem}.npy") for way, stem in vocals.items()}
    rows = rows_of(found, rounds, len(sounds))
    if target:
        target.write_text(json.dumps(rows, indent=2))
    print(f"{platform.machine()}, {os.cpu_count()} cores\n\n{table(rows)}\n")
    for way in (EXACT, FAST):
        print(f"{way}: {snr(vocals[STOCK], vocals[way]):.0f} dB, of stock vocals to what differs from them")


def run_stock(folder):
    script = Path(__file__).with_name("stock_separator.py")
    return answer(
        [find_python(), script, folder / "clips.npy", folder / "stock.npy"],
        env={**os.environ, "MODEL_PATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "2"},
    )


def run_network(clips, weights, *, fast):
    """What a process of its own does; a line of JSON as `stock_separator` prints it."""
    from snippetkit.vocals.network import Network

    mixtures = np.load(clips)
    network = Network(weights, fast=fast)
    batches = np.array_split(mixtures, max(1, len(mixtures) // network.batch))
    network(batches[0])     # whatever happens once only
    vocals, seconds = [], []
    for batch in batches:
        start = time.perf_counter()
        vocals.append(network(batch))
        seconds += len(batch) * [(time.perf_counter() - start) / len(batch)]
    np.save(clips.with_name("fast.npy" if fast else "exact.npy"), np.concatenate(vocals))
    print(json.dumps({"seconds": seconds, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def answer(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{command[1]} failed: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(found, rounds, count):
    """Rows as `side_by_side` makes them; a clip of a network counts as its share of a batch."""
    slow = np.median([np.median(each["seconds"]) for each in found[STOCK]])
    rows = []
    for way, runs in found.items():
        low, middle, high = 1000 * np.percentile([np.median(each["seconds"]) for each in runs], [0, 50, 100])
        rows.append({
            "part": "separation", "unit": "clip", "rounds": rounds, "is_floor": False, "over_floor": None, "way": way,
            "count": count,
            "low": low, "median": middle, "high": high, "ratio": 1000 * slow / middle,
            "memory": float(np.median([each["bytes"] for each in runs])) / 1e9,
        })
    return rows


if __name__ == "__main__":
    main()
