"""The four notebooks as Kaggle runs them, each in a session of its own, in an environment with Kaggle's versions.

    python tests/kaggle_environment.py FOLDER

makes that environment in FOLDER (Python 3.12 has to be there) and runs them in it; the tests run them in today's.
"""

import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from snippetkit.kaggle.build import KIT, slug
from snippetkit.run.pipeline import NOTEBOOKS

RUNNERS = {
    "nbconvert": lambda source, target: [
        "nbconvert", "--to", "notebook", "--execute", "--output", target.name, "--output-dir", target.parent, source,
    ],
    "papermill": lambda source, target: ["papermill", source, target],
}


def run_all(python, runner, built, data, folder):
    """Run the built notebooks one after the other, each with what the one before left.

    Parameters
    ----------
    python, runner, built, data
        As in `run_session`.
    folder : Path
        Gets a folder a session.

    Returns
    -------
    dict
        Notebook to its working folder.
    """
    working = {}
    before = ()
    for name in NOTEBOOKS:
        working[name] = run_session(python, runner, built, name, data, folder / name, before)
        before = (working[name],)
    return working


def run_session(python, runner, built, name, data, session, earlier):
    """Run one notebook in folders laid out like Kaggle's, and nothing shared with others but what is attached.

    Parameters
    ----------
    python : path-like
        Of the environment; the kit is not installed in it before the notebook does that itself.
    runner : str
        'nbconvert' or 'papermill'.
    built : Path
        As `build.build` made it.
    name : str
        Of the notebook.
    data : Path
        The competition.
    session : Path
        Gets ``input``, ``working`` and ``executed.ipynb``.
    earlier : sequence of Path
        Working folders of earlier sessions.

    Returns
    -------
    Path
        The working folder.
    """
    attached, working = session / "input", session / "working"
    shutil.copytree(built / KIT, attached / "datasets" / "somebody" / "snippetkit")
    shutil.copytree(data, attached / "competitions" / "singers")
    for number, output in enumerate(earlier):
        shutil.copytree(output, attached / "notebooks" / "somebody" / f"{slug(output.parent.name)}-{number}")
    before = fingerprint(attached)
    working.mkdir()
    with read_only(attached):
        result = subprocess.run(
            [python, "-m", *RUNNERS[runner](built / name / f"{name}.ipynb", session / "executed.ipynb")],
            cwd=working, capture_output=True, text=True,
            env={**os.environ, "SNIPPETKIT_KAGGLE": str(session), "KAGGLE_KERNEL_RUN_TYPE": "Batch", "PYTHONPATH": ""},
        )
    assert result.returncode == 0, f"{name}: {result.stderr[-3000:]}"
    assert fingerprint(attached) == before, f"{name} changed its input"
    return working


@contextmanager
def read_only(folder):
    """Let nobody write to a folder; root neither, where a folder can be mounted upon itself."""
    is_mounted = not subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode
    if is_mounted:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    else:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode & 0o555)
    try:
        yield is_mounted or os.getuid() != 0
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def fingerprint(folder):
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return state.hexdigest()


def environment(folder, python, packages=()):
    """A fresh virtual environment; gives its Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    if packages:
        subprocess.run([Path(folder, "bin", "python"), "-m", "pip", "install", "-q", *packages], check=True)
    return Path(folder, "bin", "python")
