"""Where things are on this machine: Kaggle's folders, and the checkout that the kit is imported from."""

from pathlib import Path

KAGGLE = Path("/kaggle")


def project_folder():
    """The checkout that the kit is imported from, or None where it was installed as a wheel."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "notebooks").is_dir() else None
