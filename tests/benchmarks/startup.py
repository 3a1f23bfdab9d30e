"""How long a user waits at a start: Python alone, imports, --help, and a run with everything complete.

The run is the four notebooks on the demo, with two quick members.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import Stopwatch, benchmark

TIMES = 5


def start(*command, times=TIMES):
    with Stopwatch() as watch:
        for _ in range(times):
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return watch, times


def complete_run(data):
    from snippetkit.data import demo

    with tempfile.TemporaryDirectory() as folder:
        command = [
            "-m", "snippetkit", "run", "--data", demo.make(Path(folder, "competition")), "--out", Path(folder, "out"),
            "--set", "model=cnn3", "--epochs", "1", "--set", "separator=none", "--members", "2",
        ]
        start(*command, times=1)
        return start(*command, times=1)


def way(*command):
    return lambda data: start(*command)


main = benchmark("startup", {
    "Python alone": way("-c", "pass"),
    "import snippetkit": way("-c", "import snippetkit"),
    "imports of a notebook": way(
        "-c", "from snippetkit import figures; from snippetkit.training.data import prepare",
    ),
    "python -m snippetkit --help": way("-m", "snippetkit", "--help"),
    "run, everything complete": complete_run,
}, unit="start", floor="Python alone", rounds=3, has_baseline=False, doc=__doc__)

if __name__ == "__main__":
    main()
