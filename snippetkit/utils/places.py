"""Where things are on this machine: Kaggle's folders, and the checkout that the kit is imported from."""

import os
from pathlib import Path

# Another folder stands for Kaggle's where built notebooks are tried out elsewhere.
KAGGLE = Path(os.environ.get("SNIPPETKIT_KAGGLE", "/kaggle"))


def project_folder():
    """The checkout that the kit is imported from, or None where it was installed as a wheel."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "notebooks").is_dir() else None


def is_kaggle_batch():
    """Whether this is a session on Kaggle that nobody watches, as when a version is saved or pushed."""
    return os.environ.get("KAGGLE_KERNEL_RUN_TYPE") == "Batch"
