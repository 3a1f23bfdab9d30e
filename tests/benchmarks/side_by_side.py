"""Time several ways to do the same thing. Each way runs in a process of its own, and the ways take turns.

A benchmark passes its ways to `benchmark` and gets its command back. Taking turns spreads the other work of the machine
over all ways, and no way profits from what another one left in memory.
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

_INTERVAL = 0.2     # seconds between two measurements of memory; one measurement takes milliseconds


def benchmark(part, ways, *, unit, floor=None, rounds=5, has_baseline=True, apart=(), doc=""):
    """Make the command of a benchmark.

    Parameters
    ----------
    part : str
        What is timed: the name of the script.
    ways : dict
        Name to a function that takes the data folder and returns a `Stopwatch` and the number of units that it timed.
    unit : str
        'clip'.
    floor : str or None
        The way that does only what no other way can omit: the lower bound.
    rounds : int
        The default of ``--rounds``. Each round begins with another way.
    has_baseline : bool
        Whether the others are compared with the first way.
    apart : sequence of str
        Ways that do something else and are compared with no other way.
    doc : str
        The command's help.
    """
    script, names = Path(sys.argv[0]).resolve(), list(ways)

    @click.command(help=doc)
    @click.argument("data", type=click.Path(path_type=Path, exists=True))
    @click.option("--rounds", default=rounds, type=click.IntRange(min=1), show_default=True)
    @click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the rows to this file.")
    @click.option("--way", type=click.Choice(names), hidden=True)
    def main(data, rounds, target, way):
        if way:
            watch, count = ways[way](data)
            return print(json.dumps({"begin": watch.begin, "seconds": watch.seconds, "count": count}))
        runs = pd.DataFrame([
            {"way": name, "round": i, **_run([sys.executable, script, data, "--way", name])}
            for i in range(rounds) for name in names[i % len(names) :] + names[: i % len(names)]
        ]).set_index("round")
        first = names[0] if has_baseline else None
        rows = [
            {"part": part, "unit": unit, "rounds": rounds, "is_floor": name == floor,
             **_summary(runs, name, *((None, None) if name in apart else (first, floor)))}
            for name in names
        ]
        if target:
            target.write_text(json.dumps(rows, indent=2))
        print(table(rows))

    return main


def timed(function, count, *, warm_up=None):
    """Time a function that processes `count` units, after a warm-up: another function, or the same one."""
    (warm_up or function)()
    with Stopwatch() as watch:
        function()
    return watch, count


def _run(command):
    """Time per unit of one way, and the peak memory of its process and its children while it is timed."""
    samples = []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        watcher = threading.Thread(target=_watch, args=(process, samples))
        watcher.start()
        status = process.wait()
        watcher.join()
        output.seek(0)
        errors.seek(0)
        if status:
            sys.exit(f"{command[-1]}: status {status}: {errors.read() or 'no error message'}")
        result = json.loads(output.read().splitlines()[-1])
    begin, end = result["begin"] - _INTERVAL, result["begin"] + result["seconds"] + _INTERVAL
    memory = [size for moment, size in samples if begin <= moment <= end]
    return {
        "milliseconds": 1000 * result["seconds"] / result["count"], "count": result["count"],
        "memory": max(memory) / 1e9 if memory else None,
    }


def _watch(process, samples):
    """Until a process ends, note how many bytes it and its children hold; pages that they share count once."""
    try:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            samples.append((time.time(), sum(map(_memory, [tree, *tree.children(recursive=True)]))))
            time.sleep(_INTERVAL)
    except psutil.Error:    # the process ended during the measurement
        return


def _memory(process):
    try:
        return process.memory_full_info().pss   # Linux only
    except psutil.Error:
        return 0


def _summary(runs, way, first, floor):
    """Median, spread and memory of a way; medians over the rounds of its ratios to the first way and the floor."""
    times = {name: group["milliseconds"] for name, group in runs.groupby("way")}
    ours = runs[runs["way"] == way]
    memory = ours["memory"].median()
    return {
        "way": way, "median": times[way].median(), "low": times[way].min(), "high": times[way].max(),
        "count": float(ours["count"].iloc[0]), "memory": None if pd.isna(memory) else float(memory),
        "ratio": float((times[first] / times[way]).median()) if first else None,
        "over_floor": float((times[way] / times[floor]).median()) if floor else None,
    }


class Stopwatch:
    """Seconds inside a ``with`` block, including the work that a GPU was given there."""

    def __enter__(self):
        _wait_for_gpu()
        self.begin = time.time()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        _wait_for_gpu()
        self.seconds = time.perf_counter() - self._start


def _wait_for_gpu():
    torch = sys.modules.get("torch")    # a way without torch shall not import it
    if torch and torch.cuda.is_available():
        torch.cuda.synchronize()


def table(rows):
    """Rows of benchmarks as Markdown."""
    return "\n".join([
        "| part | way | ms | lowest to highest | times as fast | over the floor | in all | peak memory |",
        "| --- " * 8 + "|",
        *map(_line, rows),
    ])


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
