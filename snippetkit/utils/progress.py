"""One look for all progress bars, in a terminal and in a notebook."""

import sys

from tqdm import tqdm


def progress(iterable=None, *, total, title, unit, done=0):
    """A bar over an iterable, or one to be moved by hand with its ``update``.

    Plain tqdm, not ``tqdm.auto``: its widgets stand still in a notebook that papermill runs.

    Parameters
    ----------
    iterable : iterable or None
    total : int
    title, unit : str
    done : int
        How much was done before.

    Returns
    -------
    tqdm
    """
    return tqdm(iterable, total=total, desc=title, unit=unit, initial=done, mininterval=1, file=_stream())


def say(line):
    """Write a line where the bars are, without tearing one of them."""
    tqdm.write(line, file=_stream())


def _stream():
    # A notebook shows stderr on red, as if something were wrong; in a terminal stdout is for results.
    in_a_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return sys.stdout if in_a_notebook else sys.stderr
