"""The notebooks as Kaggle runs them, each in a session of its own: with the packages installed here and with Kaggle's.

    python3.12 -m venv ENV && ENV/bin/pip install -r tests/requirements-kaggle.txt
    KAGGLE_PYTHON=ENV/bin/python python -m pytest -m slow tests/test_kaggle.py

The environment takes some 6 GB, most of it torch with CUDA.
"""

import os
import shutil
import subprocess
from contextlib import contextmanager

from snippetkit.kaggle.build import DATASETS, slug
from snippetkit.run.pipeline import NOTEBOOKS

PARAMETERS = {"recipe": "published", "settings": "separator=none model=cnn3 batch_size=8", "members": 2, "epochs": 2}
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
        Gets a folder for each session.

    Returns
    -------
    dict
        Notebook to its working folder.
    """
    working = {}
    for name in NOTEBOOKS:
        earlier = list(working.values())[-1:]
        working[name] = run_session(python, runner, built, name, data, folder / name, earlier)
    return working


def run_session(python, runner, built, name, data, session, earlier):
    """Run one notebook in folders like Kaggle's. It shares nothing with other sessions but what is attached.

    Parameters
    ----------
    python : path-like
        Of an environment without the kit; the notebook installs it.
    runner : str
        'nbconvert' or 'papermill'.
    built : Path
        As `build.build_folders` made it.
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
    attached = attach(data, session, earlier)
    for part, (dataset, _) in DATASETS.items():
        if (built / part).is_dir():
            shutil.copytree(built / part, attached / "datasets" / "somebody" / dataset)
    before = contents(attached)
    with read_only(attached):
        process = start(python, runner, built / name / f"{name}.ipynb", session)
        _, errors = process.communicate()
    assert process.returncode == 0, f"{name}: {errors[-3000:]}"
    assert contents(attached) == before, f"{name} changed its input"
    return session / "working"


def attach(data, session, earlier):
    """Make the folders of a session; returns its input, with the competition and earlier outputs."""
    attached = session / "input"
    shutil.copytree(data, attached / "competitions" / "singers")
    for number, output in enumerate(earlier):
        shutil.copytree(output, attached / "notebooks" / "somebody" / f"{slug(output.parent.name)}-{number}")
    (session / "working").mkdir()
    return attached


def start(python, runner, notebook, session):
    """Start a notebook in the folders of a session, in a process group of its own."""
    return subprocess.Popen(
        [python, "-m", *RUNNERS[runner](notebook, session / "executed.ipynb")], cwd=session / "working",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "SNIPPETKIT_KAGGLE": str(session), "KAGGLE_KERNEL_RUN_TYPE": "Batch", "PYTHONPATH": ""},
    )


@contextmanager
def read_only(folder):
    """Make a folder read-only, for root too where a folder can be mounted upon itself; yields whether it is."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode & 0o555)
        yield os.geteuid() != 0
    else:
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            yield True
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def contents(folder):
    """Path to the bytes, for every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def create_environment(folder, python, packages=()):
    """Create a virtual environment; returns its Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    if packages:
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *packages], check=True)
    return folder / "bin" / "python"
