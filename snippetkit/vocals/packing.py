"""Separated vocals as one file per split, because Kaggle is slow with an output of thousands of files."""

import shutil
import zipfile
from pathlib import Path

from ..utils.errors import KitError, report_os_error
from ..utils.progress import progress
from ..utils.storage import replacing

_SPLITS = ("train", "test")


def pack(folder):
    """Put the vocals of each split into ``train.zip`` and ``test.zip``, and remove them.

    Parameters
    ----------
    folder : path-like
        ``vocals`` in the work folder. What is packed already is kept.

    Raises
    ------
    KitError
        If a file cannot be read or written.
    """
    for split in _SPLITS:
        archive, vocals = Path(folder, f"{split}.zip"), Path(folder, split)
        paths = sorted(vocals.glob("*.flac"))
        if not paths:
            continue
        with report_os_error(f"{archive} could not be written"):
            with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w") as file:     # FLAC is compressed
                for path in progress(paths, total=len(paths), title=f"packing vocals of {split}", unit="clip"):
                    file.write(path, path.name)
            shutil.rmtree(vocals)


def unpack(folder):
    """Take packed vocals apart, where `pack` had them, and remove the archives. Vocals that are there are kept.

    Parameters
    ----------
    folder : path-like
        ``vocals`` in the work folder.

    Raises
    ------
    KitError
        If an archive is damaged, or a file cannot be written.
    """
    for split in _SPLITS:
        archive, vocals = Path(folder, f"{split}.zip"), Path(folder, split)
        if not archive.exists():
            continue
        with report_os_error(f"{archive} could not be unpacked"):
            try:
                with zipfile.ZipFile(archive) as file:
                    names = [name for name in file.namelist() if not (vocals / name).exists()]
                    vocals.mkdir(exist_ok=True)
                    for name in progress(names, total=len(names), title=f"unpacking vocals of {split}", unit="clip"):
                        with replacing(vocals / Path(name).name) as temporary:
                            temporary.write_bytes(file.read(name))
            except (zipfile.BadZipFile, EOFError) as error:
                raise KitError(f"{archive} is damaged ({error}). Delete it; the vocals are separated again.") from error
            archive.unlink()
