"""How long a user waits at a start: Python alone, the import, --help, and a run with everything complete.

The run is the four notebooks on the demo, with two quick members.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import benchmark, timed

TIMES = 5


def start(*command):
    subprocess.run([sys.executable, *command], check=True, capture_output=True)


def way(*command):
    return lambda data: timed(lambda: [start(*command) for _ in range(TIMES)], TIMES)


def complete_run(data):
    from snippetkit.data import demo

    with tempfile.TemporaryDirectory() as folder:
        command = [
            "-m", "snippetkit", "run", "--data", demo.make(Path(folder, "competition")), "--out", Path(folder, "out"),
            "--set", "model=cnn3", "--epochs", "1", "--members", "2", "--set", "separator=none",
            "--set", "classifiers=",
        ]
        return timed(lambda: start(*command), 1, warm_up=lambda: start(*command))


if __name__ == "__main__":
    benchmark({
        "Python alone": way("-c", "pass"),
        "import snippetkit": way("-c", "import snippetkit"),
        "python -m snippetkit --help": way("-m", "snippetkit", "--help"),
        "run, everything complete": complete_run,
    }, unit="start", floor="Python alone", has_baseline=False, doc=__doc__)
