"""Folders of this machine: Kaggle's, the project's, and the folder for runs."""

import os
from pathlib import Path

import click

# Tests of notebooks that were built for Kaggle put another folder in its place.
KAGGLE = Path(os.environ.get("SNIPPETKIT_KAGGLE", "/kaggle"))


class PathType(click.Path):
    """A path on the command line, with ``~`` expanded: shells leave ``--out=~/run`` as it is."""

    def __init__(self, **options):
        super().__init__(path_type=Path, **options)

    def convert(self, value, parameter, context):
        return super().convert(os.path.expanduser(value), parameter, context)


def project_folder():
    """The checkout that the kit is imported from; None if the kit was installed as a wheel."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "notebooks").is_dir() else None


def runs_folder():
    """The folder for work folders: ``runs`` in the project, or in the current folder if the kit is a wheel."""
    # The current folder of a notebook is notebooks/, that of the command line can be anything.
    return (project_folder() or Path.cwd()) / "runs"


def is_kaggle_batch():
    """Whether this is a Kaggle session without a user, as when a version is saved or pushed."""
    return os.environ.get("KAGGLE_KERNEL_RUN_TYPE") == "Batch"
