"""Time several implementations of the same task. Each one runs in its own process, and the implementations alternate.

A benchmark passes its implementations to `benchmark`. Alternating spreads the other work of the machine over all of
them, and none profits from what another one left in memory.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import click
import pandas as pd
import psutil

_INTERVAL = 0.2     # seconds between two measurements of memory; one measurement takes milliseconds


def benchmark(ways, *, unit, floor=None, rounds=3, has_baseline=True, apart=(), doc=""):
    """Run the command line of a benchmark, which is named after its script.

    Parameters
    ----------
    ways : dict
        Name to a function that takes the data folder and returns the result of `timed`.
    rounds : int
        The default of ``--rounds``.
    doc : str
        The command's help.
    unit, floor, has_baseline, apart
        As in `compare`.
    """
    script = Path(sys.argv[0]).resolve()

    @click.command(help=doc)
    @click.argument("data", type=click.Path(path_type=Path, exists=True))
    @click.option("--rounds", default=rounds, type=click.IntRange(min=1), show_default=True)
    @click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the rows to this file.")
    @click.option("--way", type=click.Choice(list(ways)), hidden=True)
    def main(data, rounds, target, way):
        if way:
            return print(json.dumps(ways[way](data)))
        commands = {name: [sys.executable, script, data, "--way", name] for name in ways}
        print(compare(
            script.stem, commands, rounds=rounds, target=target,
            unit=unit, floor=floor, has_baseline=has_baseline, apart=apart,
        ))

    main()


def timed(function, count, *, warm_up=None):
    """Time a function that processes `count` units, including the work that a GPU is given; first call `warm_up`."""
    if warm_up:
        warm_up()
    _wait_for_gpu()
    begin, start = time.time(), time.perf_counter()
    function()
    _wait_for_gpu()
    return {"begin": begin, "seconds": time.perf_counter() - start, "count": count}


def _wait_for_gpu():
    torch = sys.modules.get("torch")    # an implementation without torch shall not import it
    if torch and torch.cuda.is_available():
        torch.cuda.synchronize()


def compare(part, commands, *, unit, rounds, target=None, floor=None, has_baseline=True, apart=()):
    """Run commands in turns, each of which ends with a line of JSON, the result of `timed`.

    Parameters
    ----------
    part : str
        What is timed.
    commands : dict
        Name of the implementation to its command.
    unit : str
        'clip'.
    rounds : int
        Runs of each implementation. Each round begins with another one.
    target : Path or None
        File for the rows, as JSON.
    floor : str or None
        The implementation that does only what no other one can omit: the lower bound.
    has_baseline : bool
        Whether the others are compared with the first implementation.
    apart : sequence of str
        Implementations that do something else and are compared with no other one.

    Returns
    -------
    str
        The rows as Markdown.
    """
    names = list(commands)
    runs = pd.DataFrame([
        {"way": name, "round": i, **_run(commands[name])}
        for i in range(rounds) for name in names[i % len(names) :] + names[: i % len(names)]
    ])
    summary = runs.groupby("way").agg(
        median=("milliseconds", "median"), low=("milliseconds", "min"), high=("milliseconds", "max"),
        count=("count", "first"), memory=("memory", "median"),
    ).loc[names]
    # medians over the rounds of the ratios to the first implementation and to the floor
    times = runs.pivot(index="round", columns="way", values="milliseconds").drop(columns=list(apart))
    summary["ratio"] = times.rdiv(times[names[0]], axis=0).median() if has_baseline else None
    summary["over_floor"] = times.div(times[floor], axis=0).median() if floor else None
    summary = summary.assign(part=part, unit=unit, rounds=rounds, is_floor=summary.index == floor)
    rows = json.loads(summary.reset_index().to_json(orient="records"))      # what is missing becomes None
    if target:
        target.write_text(json.dumps(rows, indent=2))
    return table(rows)


def _run(command):
    """Time per unit of one implementation, and the peak memory of its process and its children while it is timed."""
    samples = []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = psutil.Popen(command, stdout=output, stderr=errors)
        while process.poll() is None:
            samples.append((time.time(), sum(map(_memory, [process, *process.children(recursive=True)]))))
            time.sleep(_INTERVAL)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            sys.exit(f"{command[-1]}: status {process.returncode}: {errors.read() or 'no error message'}")
        result = json.loads(output.read().splitlines()[-1])
    begin, end = result["begin"] - _INTERVAL, result["begin"] + result["seconds"] + _INTERVAL
    return {
        "milliseconds": 1000 * result["seconds"] / result["count"], "count": result["count"],
        "memory": max((size / 1e9 for moment, size in samples if begin <= moment <= end), default=None),
    }


def _memory(process):
    """How many bytes a process holds; pages that it shares with others count in part."""
    try:
        return process.memory_full_info().pss   # Linux only
    except psutil.Error:    # the process ended during the measurement
        return 0


def table(rows):
    """Rows of benchmarks as Markdown."""
    columns = (
        "part", "implementation", "ms", "lowest to highest", "times as fast", "over the floor", "in all", "peak memory",
    )
    return markdown(columns, map(_cells, rows))


def markdown(columns, rows):
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in [columns, ["---"] * len(columns), *rows])


def _cells(row):
    floor = "" if row["over_floor"] is None else f"{row['over_floor'] - 1:+.1%}"
    return [
        f"{row['part']}, a {row['unit']}",
        row["way"],
        f"{row['median']:.3g}",
        f"{row['low']:.3g} to {row['high']:.3g}, {row['rounds']} runs" if row["rounds"] > 1 else "one run",
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        "(the floor)" if row["is_floor"] else floor,
        f"{row['median'] * row['count'] / 1000:.3g} s",
        "" if row["memory"] is None else f"{row['memory']:.2f} GB",
    ]
