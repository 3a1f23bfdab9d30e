"""How long songs take to infer, and how much memory: python tests/benchmarks/songs.py DATA [--sizes 1000,4000,14333].

Each size runs in a process of its own, so that its peak memory is its own. Where there are fewer clips than asked for,
those there are listened to again, with noise over what was heard, so that no two are equal.
"""

import os
import resource
import subprocess
import sys
import time

import click
import numpy as np

from snippetkit import competition
from snippetkit.songs.inference import infer
from snippetkit.songs.traces import Traces, listen


@click.command()
@click.argument("data")
@click.option("--sizes", default="1000,2000,4000,8000,14333", show_default=True, help="Numbers of clips.")
@click.option("--one", default=0, hidden=True)
def main(data, sizes, one):
    if one:
        return _measure(data, one)
    click.echo(f"{os.cpu_count()} cores\n")
    click.echo("| clips | listening, s | inferring, s | peak memory, GB | songs | groups |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for size in sizes.split(","):
        subprocess.run([sys.executable, __file__, data, "--one", size], check=True)


def _measure(data, size):
    found = competition.find(data)
    clips = [*found.train, *found.test]
    start = time.perf_counter()
    traces = listen([clips[i % len(clips)] for i in range(size)])
    heard = time.perf_counter()
    traces = _told_apart(traces, len(clips))
    start_inferring = time.perf_counter()
    song, group, _ = infer(traces, [str(i) for i in range(size)])
    seconds = time.perf_counter() - start_inferring
    # of the workers that listened, the largest, or of this process
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(each).ru_maxrss for each in who) / 1e6
    click.echo(f"| {size} | {heard - start:.0f} | {seconds:.1f} | {peak:.1f} | {len(set(song))} | {len(set(group))} |")


def _told_apart(traces, clips):
    generator = np.random.default_rng(0)
    again = (np.arange(len(traces)) >= clips)[:, None]
    return Traces(*(
        (each + again * generator.normal(size=each.shape) * 0.3 * each.std(axis=0)).astype(np.float32)
        for each in (traces.head, traces.tail, traces.onward, traces.backward, traces.sound)
    ))


if __name__ == "__main__":
    main()
