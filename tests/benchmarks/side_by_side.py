"""Ways to do the same thing, timed side by side: each in a process of its own, one after the other, round by round.

A benchmark names its ways and hands them to `benchmark`, which makes the command of it. What a machine does beside it
then hits all ways alike, and what one way leaves in memory helps no other.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import pandas as pd
import psutil

_BETWEEN_LOOKS = 0.2    # seconds; a look costs milliseconds


def benchmark(part, ways, *, unit, floor=None, rounds=5, has_baseline=True, apart=(), doc=""):
    """The command of one benchmark.

    Parameters
    ----------
    part : str
        What is timed: the name of the script.
    ways : dict
        Name to a function that takes the data folder and gives a `Stopwatch` and for how many units it ran.
    unit : str
        'clip'.
    floor : str or None
        The way that does only what cannot be left out, to be come near to.
    rounds : int
        Unless asked for otherwise. Each begins with another way, so that no way is always the first.
    has_baseline : bool
        Whether the first way is what the others are compared with.
    apart : sequence of str
        Ways that do something else, and are compared with none.
    doc : str
        The command's help.
    """
    script = Path(sys.argv[0]).resolve()

    @click.command(help=doc)
    @click.argument("data", type=click.Path(path_type=Path, exists=True))
    @click.option("--rounds", default=rounds, type=click.IntRange(min=1), show_default=True)
    @click.option("--json", "target", type=click.Path(path_type=Path), help="Write the rows there, too.")
    @click.option("--way", type=click.Choice(list(ways)), hidden=True)
    def main(data, rounds, target, way):
        if way:
            watch, count = ways[way](data)
            return print(json.dumps({"begin": watch.begin, "seconds": watch.seconds, "count": count}))
        runs = [
            {"way": name, "round": i, **_run([sys.executable, script, data, "--way", name])}
            for i in range(rounds) for name in [*ways][i % len(ways) :] + [*ways][: i % len(ways)]
        ]
        found = pd.DataFrame(runs).set_index("round").sort_index()
        first = next(iter(ways)) if has_baseline else None
        rows = [
            {"part": part, "unit": unit, "rounds": rounds, "is_floor": name == floor,
             **_summary(found, name, *((None, None) if name in apart else (first, floor)))}
            for name in ways
        ]
        if target:
            target.write_text(json.dumps(rows, indent=2))
        print(table(rows))

    return main


def _run(command):
    """What a way says, and the most memory that it and its children had between them while it was timed."""
    samples = []
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaint:
        process = subprocess.Popen(command, stdout=said, stderr=complaint)
        watcher = threading.Thread(target=_watch, args=(process, samples))
        watcher.start()
        status = process.wait()
        watcher.join()
        for stream in (said, complaint):
            stream.seek(0)
        if status:
            sys.exit(f"{command[-1]} ended with status {status}: {complaint.read() or 'it said nothing'}")
        found = json.loads(said.read().splitlines()[-1])
    end = found["begin"] + found["seconds"]
    memory = [size for moment, size in samples if found["begin"] - _BETWEEN_LOOKS <= moment <= end + _BETWEEN_LOOKS]
    return {
        "milliseconds": 1000 * found["seconds"] / found["count"], "count": found["count"],
        "memory": max(memory) / 1e9 if memory else None,
    }


def _watch(process, samples):
    """Note how many bytes a process and its children hold, pages that they share counted once, until it ends."""
    try:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            samples.append((time.time(), sum(_held(each) for each in [tree, *tree.children(recursive=True)])))
            time.sleep(_BETWEEN_LOOKS)
    except psutil.Error:    # it ended while it was looked at
        return


def _held(process):
    try:
        return process.memory_full_info().pss   # which only Linux tells
    except psutil.Error:
        return 0


def _summary(found, way, first, floor):
    """Median, spread and memory of a way; medians over the rounds of how it compares with the first and the floor."""
    times = {name: found.loc[found["way"] == name, "milliseconds"] for name in (way, first, floor) if name}
    ours = found[found["way"] == way]
    memory = ours["memory"].median()
    return {
        "way": way, "median": times[way].median(), "low": times[way].min(), "high": times[way].max(),
        "count": float(ours["count"].iloc[0]), "memory": None if pd.isna(memory) else float(memory),
        "ratio": float((times[first] / times[way]).median()) if first else None,
        "over_floor": float((times[way] / times[floor]).median()) if floor else None,
    }


class Stopwatch:
    """Seconds inside a ``with`` block; what a GPU was given to do there is waited for."""

    def __enter__(self):
        _wait_for_gpu()
        self.begin = time.time()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        _wait_for_gpu()
        self.seconds = time.perf_counter() - self._start


def _wait_for_gpu():
    torch = sys.modules.get("torch")    # a way that does not use it shall not wait for its import
    if torch and torch.cuda.is_available():
        torch.cuda.synchronize()


def table(rows):
    """Rows of benchmarks as Markdown."""
    lines = [
        "| part | way | ms | least to most | times as fast | over the floor | in all | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row):
    floor = "" if row["over_floor"] is None else f"{row['over_floor'] - 1:+.1%}"
    return "| " + " | ".join([
        f"{row['part']}, a {row['unit']}",
        row["way"],
        f"{row['median']:.3g}",
        f"{row['low']:.3g} to {row['high']:.3g}, {row['rounds']} runs" if row["rounds"] > 1 else "one run",
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        "(the floor)" if row["is_floor"] else floor,
        f"{row['median'] * row['count'] / 1000:.3g} s",
        "" if row["memory"] is None else f"{row['memory']:.2f} GB",
    ]) + " |"
