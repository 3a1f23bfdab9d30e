"""What a person waits for before anything happens: Python alone, imports, --help, and a run with everything done.

The run is the four notebooks on the kit's demo, with two quick members.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import Stopwatch, benchmark

QUICK = ["--set", "model=cnn3", "--epochs", "1"]
TIMES = 5


def python_alone(data):
    return several("-c", "pass")


def import_of_the_kit(data):
    return several("-c", "import snippetkit")


def imports_of_a_notebook(data):
    return several("-c", "from snippetkit import figures; from snippetkit.training.data import prepare")


def help_of_the_kit(data):
    return several("-m", "snippetkit", "--help")


def run_with_all_done(data):
    from snippetkit.data import demo

    with tempfile.TemporaryDirectory() as folder:
        competition = demo.make(Path(folder, "competition"))
        command = ["-m", "snippetkit", "run", "--data", competition, "--out", Path(folder, "out"), *QUICK]
        command += ["--set", "separator=none", "--members", "2"]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return several(*command, times=1)


def several(*command, times=TIMES):
    with Stopwatch() as watch:
        for _ in range(times):
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return watch, times


main = benchmark("startup", {
    "Python alone": python_alone,
    "import snippetkit": import_of_the_kit,
    "imports of a notebook": imports_of_a_notebook,
    "python -m snippetkit --help": help_of_the_kit,
    "run, everything done": run_with_all_done,
}, unit="start", floor="Python alone", rounds=3, has_baseline=False, doc=__doc__)

if __name__ == "__main__":
    main()
