"""The backend "spleeter": the package itself, in its own environment, one process for all clips."""

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from ..utils.errors import KitError
from ..utils.paths import project_folder
from . import checkpoint, unet

_HOW_TO_MAKE_IT = (
    "make it in the project's folder with Python 3.10 or 3.11: python3.10 -m venv .venv-spleeter && "
    ".venv-spleeter/bin/pip install -r requirements-spleeter.txt; or set SPLEETER_PYTHON to the Python of an existing "
    "environment"
)


class Package:
    """Spleeter's own estimator in a process that separates clips; a context manager.

    Parameters
    ----------
    weights : path-like
        The folder with Spleeter's files. They are checked first, because the package continues with random weights if
        they are missing.

    Raises
    ------
    KitError
        If the environment does not exist, or the weights are missing, damaged or of another model.
    """

    batch = 16

    def __init__(self, weights):
        self._python = find_python()
        unet.build_masks(checkpoint.read(weights))
        self._weights = Path(weights)

    def __enter__(self):
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snippetkit-spleeter-")))
            self._log = stack.enter_context(open(self._folder / "log", "w+", errors="replace"))
            _lay_out(self._weights, self._folder / "models" / "2stems")
            self._process = stack.enter_context(self._start())
            stack.callback(self._process.kill)
            self._await("ready")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._stack.close()

    def __call__(self, mixtures):
        """Separate clips.

        Parameters
        ----------
        mixtures : ndarray, shape (clips, samples, 2), float32

        Returns
        -------
        ndarray, of the same shape, float32
            The vocals.

        Raises
        ------
        KitError
            If the process ended, or returned another shape.
        """
        return np.stack([self._separate(mixture) for mixture in mixtures])

    def _separate(self, mixture):
        source, target = self._folder / "mixture.npy", self._folder / "vocals.npy"
        np.save(source, mixture)
        target.unlink(missing_ok=True)
        try:
            self._process.stdin.write(f"{source}\t{target}\n")
            self._process.stdin.flush()
        except BrokenPipeError:     # the process has ended; `_await` reports why
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._await("done")
        vocals = np.load(target)
        if vocals.shape != mixture.shape:
            raise KitError(f"Spleeter returned vocals of shape {vocals.shape} for a clip of shape {mixture.shape}.")
        return vocals

    def _start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.Popen(
            [self._python, Path(__file__).with_name("spleeter_worker.py")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env={**environment, "MODEL_PATH": str(self._folder / "models"), "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def _await(self, answer):
        # An answer, not an exit status, because the package may fail and exit with 0.
        if self._process.stdout.readline().strip() == answer:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process.kill()
        self._log.seek(0)
        words = [line.strip() for line in self._log if line.strip()]
        status, advice = self._process.wait(), "Separated clips are kept: run again to continue"
        if status < 0:  # its last output is not the reason then
            problem = f"Spleeter's process was killed by signal {-status}, perhaps because memory ran out."
        else:
            reason = words[-1] if words else "without output"
            problem = f"Spleeter stopped with status {status} ({reason}). Its Python is {self._python}."
            advice = advice if answer == "done" else f"Repair it, or {_HOW_TO_MAKE_IT}"
        raise KitError(f"{problem} {advice}.")


def find_python():
    """The Python of Spleeter's environment.

    Returns
    -------
    str

    Raises
    ------
    KitError
        If there is none; the text says how to make it.
    """
    named = os.environ.get("SPLEETER_PYTHON")
    python = shutil.which(named or (project_folder() or Path.cwd()) / ".venv-spleeter" / "bin" / "python")
    if not python:
        problem = f"SPLEETER_PYTHON is {named}, which is not a program" if named else "that environment does not exist"
        raise KitError(
            f"the separator spleeter runs in its own environment, and {problem}: {_HOW_TO_MAKE_IT}. "
            "The separator torch needs none."
        )
    return python


def _lay_out(weights, folder):
    """Lay out the weights as the package expects them, without touching their folder, which may be read-only."""
    folder.mkdir(parents=True)
    index, data = checkpoint.files(weights)
    for path in (index, data):
        (folder / path.name).symlink_to(path.resolve())
    # The original may name a path of another machine, where the package would not find the weights.
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{index.stem}"\n')
