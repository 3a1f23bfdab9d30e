"""Progress bars that look the same in a terminal and in a notebook."""

import sys

from tqdm import tqdm

from .paths import is_kaggle_batch


def progress(iterable=None, *, total, title, unit, done=0):
    """Wrap an iterable in a progress bar, or return a bar to move with its ``update`` method.

    This is plain tqdm, not ``tqdm.auto``: its widgets do not move in a notebook that papermill runs.

    Parameters
    ----------
    iterable : iterable or None
    total : int
    title, unit : str
    done : int
        Items that an earlier run completed.

    Returns
    -------
    tqdm
    """
    # nobody watches a batch session on Kaggle, and its log keeps every state of a bar
    seconds = 60 if is_kaggle_batch() else 1
    return tqdm(iterable, total=total, desc=title, unit=unit, initial=done, mininterval=seconds, file=_stream())


def say(line):
    """Print a line where the progress bars are, without breaking a bar."""
    tqdm.write(line, file=_stream())


def _stream():
    # A notebook shows stderr on red, like an error. In a terminal, stdout is reserved for results.
    is_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return sys.stdout if is_notebook else sys.stderr
