"""Spleeter's own `Separator`, clip by clip as in its documentation. The Python of Spleeter's environment runs this.

    python stock_separator.py CLIPS.npy VOCALS.npy

CLIPS.npy is (clips, samples, 2), float32. The output is one line of JSON, as from `side_by_side.timed`.
"""

import json
import sys
import time

import numpy as np
from spleeter.separator import Separator


def main(clips, target):
    mixtures = np.load(clips)
    separator = Separator("spleeter:2stems", multiprocess=False)
    separator.separate(mixtures[0])     # warm-up
    begin, start = time.time(), time.perf_counter()
    vocals = [separator.separate(mixture)["vocals"] for mixture in mixtures]
    seconds = time.perf_counter() - start
    np.save(target, np.stack(vocals))
    print(json.dumps({"begin": begin, "seconds": seconds, "count": len(mixtures)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
