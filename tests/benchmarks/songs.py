"""Songs of more and more clips: time and memory of listening to them, of inferring from it, and of the products alone.

Where there are fewer clips than asked for, those there are listened to again, with noise over what was heard, so that
no two are equal.
"""

from functools import partial

import numpy as np
from joblib.externals.loky import get_reusable_executor
from side_by_side import Stopwatch, benchmark

from snippetkit.data import competition
from snippetkit.songs.inference import infer
from snippetkit.songs.traces import AHEAD, Traces, trace_clips

SIZES = (1000, 2000, 4000, 8000, 14_333)
# Three times over, each pair of clips: two predictions against two ends, and the likeness of what both sound like.
PASSES, NUMBERS = 3, 2 * AHEAD + 200
ROWS = 512


def listening(data, size):
    clips = clips_of(data)
    with Stopwatch() as watch:
        trace_clips([clips[i % len(clips)] for i in range(size)])
    return watch, size


def inferring(data, size):
    clips = clips_of(data)
    heard = trace_clips(clips[:size])
    again = np.arange(size) % len(clips)
    traces = told_apart(heard.of(again), len(clips))
    get_reusable_executor().shutdown()      # those that listened shall not be counted
    with Stopwatch() as watch:
        infer(traces)
    return watch, size


def clips_of(data):
    found = competition.find(data)
    return [*found.train, *found.test]


def told_apart(traces, clips):
    generator = np.random.default_rng(0)
    again = (np.arange(len(traces)) >= clips)[:, None]
    arrays = [
        (values + again * generator.normal(size=values.shape) * 0.3 * values.std(axis=0)).astype(np.float32)
        for values in (traces.head, traces.tail, traces.onward, traces.backward, traces.sound)
    ]
    return Traces(*arrays, traces.level, np.array([str(i) for i in range(len(traces))]))


def products(data):
    size = SIZES[-1]
    numbers = np.random.default_rng(0).normal(size=(size, NUMBERS)).astype(np.float32)
    with Stopwatch() as watch:
        for _ in range(PASSES):
            for start in range(0, size, ROWS):
                numbers[start : start + ROWS] @ numbers.T
    return watch, size


main = benchmark("songs", {
    f"listening, {SIZES[0]} clips": partial(listening, size=SIZES[0]),
    f"listening, {SIZES[-1]} clips": partial(listening, size=SIZES[-1]),
    **{f"inferring, {size} clips": partial(inferring, size=size) for size in SIZES},
    f"products alone, {SIZES[-1]} clips": products,
}, unit="clip", rounds=1, has_baseline=False, doc=__doc__)

if __name__ == "__main__":
    main()
