"""Folders of this machine: Kaggle's, the project's, and where runs go."""

import os
from pathlib import Path

# Another folder stands for Kaggle's where notebooks that were built for it are tried elsewhere.
KAGGLE = Path(os.environ.get("SNIPPETKIT_KAGGLE", "/kaggle"))


def project_folder():
    """The checkout that the kit is imported from; None if it was installed as a wheel."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "notebooks").is_dir() else None


def runs_folder():
    """The folder for work folders: ``runs`` in the project, or in the current folder if the kit is a wheel."""
    # Not the current folder: a notebook's own is notebooks/, the command line's is anywhere.
    return (project_folder() or Path.cwd()) / "runs"


def is_kaggle_batch():
    """Whether this is a Kaggle session without a user, as when a version is saved or pushed."""
    return os.environ.get("KAGGLE_KERNEL_RUN_TYPE") == "Batch"
