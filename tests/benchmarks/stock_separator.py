"""Spleeter's own `Separator`, clip by clip as in its documentation. The Python of Spleeter's environment runs this.

    python stock_separator.py CLIPS.npy VOCALS.npy

CLIPS.npy is (clips, samples, 2), float32. The output is one line of JSON: the seconds of each clip, and the peak memory
in bytes.
"""

import json
import resource
import sys
import time

import numpy as np
from spleeter.separator import Separator


def main(clips, target):
    mixtures = np.load(clips)
    separator = Separator("spleeter:2stems", multiprocess=False)
    separator.separate(mixtures[0])     # warm-up
    vocals, seconds = [], []
    for mixture in mixtures:
        start = time.perf_counter()
        vocals.append(separator.separate(mixture)["vocals"])
        seconds.append(time.perf_counter() - start)
    np.save(target, np.stack(vocals))
    print(json.dumps({"seconds": seconds, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main(*sys.argv[1:])
