"""Songs of more and more clips: time and memory of describing them, of inferring the songs, and of the products alone.

If there are fewer clips than requested, the descriptions of those that exist are repeated with noise, so that no two
are equal.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from joblib.externals.loky import get_reusable_executor
from side_by_side import benchmark, timed

from snippetkit.data import competition
from snippetkit.songs.inference import infer
from snippetkit.songs.traces import AHEAD, trace_clips

SIZES = (1000, 2000, 4000, 8000, 14_333)
# Three times, for each pair of clips: two predictions against two ends, and the similarity of their sounds.
PASSES, NUMBERS = 3, 2 * AHEAD + 200
ROWS = 512


def describing(data, size):
    clips = clips_of(data)
    return timed(lambda: trace_clips([clips[i % len(clips)] for i in range(size)]), size)


def inferring(data, size):
    traces = distinct_traces(trace_clips(clips_of(data)[:size]), size)
    get_reusable_executor().shutdown()      # the processes that described the clips shall not be counted
    return timed(lambda: infer(traces), size)


def clips_of(data):
    files = competition.find(data)
    return [*files.train, *files.test]


def distinct_traces(traces, size):
    """Repeat traces up to a size; those that are repeated get noise and another content."""
    rows, rng = np.arange(size), np.random.default_rng(0)
    repeated, is_new = traces.of(rows % len(traces)), (rows >= len(traces))[:, None]
    noisy = {}
    for name in ("head", "tail", "onward", "backward", "sound"):
        values = getattr(repeated, name)
        noise = is_new * rng.normal(size=values.shape) * 0.3 * values.std(axis=0)
        noisy[name] = (values + noise).astype(np.float32)
    return replace(repeated, **noisy, content=rows.astype(str))


def products(data):
    size = SIZES[-1]
    numbers = np.random.default_rng(0).normal(size=(size, NUMBERS)).astype(np.float32)

    def multiply():
        for start in PASSES * list(range(0, size, ROWS)):
            numbers[start : start + ROWS] @ numbers.T

    return timed(multiply, size)


if __name__ == "__main__":
    benchmark({
        **{f"describing, {size} clips": partial(describing, size=size) for size in (SIZES[0], SIZES[-1])},
        **{f"inferring, {size} clips": partial(inferring, size=size) for size in SIZES},
        f"products alone, {SIZES[-1]} clips": products,
    }, unit="clip", rounds=1, has_baseline=False, doc=__doc__)
