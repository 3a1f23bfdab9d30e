"""Progress bars: in a terminal, in a notebook, and in a session that nobody watches."""

import os
import sys

from tqdm import tqdm

from .paths import is_kaggle_batch

# Set for the kernels of notebooks that `run` executes: what they print goes to its terminal, displays do not.
TERMINAL = "SNIPPETKIT_TERMINAL"


def progress(iterable=None, *, total, title, unit, done=0, has_notes=False):
    """Wrap an iterable in a progress bar, or return a bar to move with its ``update`` method.

    This is plain tqdm, not ``tqdm.auto``: its widgets do not move in a notebook that papermill runs.

    Parameters
    ----------
    iterable : iterable or None
    total : int
    title, unit : str
    done : int
        Items that an earlier run completed.
    has_notes : bool
        The caller gives it to `note` now and then. In a batch session on Kaggle these lines take the bar's place.

    Returns
    -------
    tqdm
    """
    # nobody watches a batch session, and its log keeps every state of a bar
    seconds = 60 if is_kaggle_batch() else 1
    in_place = _is_notebook() and not is_kaggle_batch() and TERMINAL not in os.environ
    return tqdm(
        iterable, total=total, desc=title, unit=unit, initial=done, mininterval=seconds,
        disable=has_notes and is_kaggle_batch(), file=_Display() if in_place else _stream(),
    )


def note(bar, title, text):
    """Show a text behind a bar; as a line with a title where the bar is not shown."""
    if bar.disable:
        say(f"{title}: {text}")
    else:
        bar.set_postfix_str(text)


def say(line):
    """Print a line where the progress bars are, without breaking a bar."""
    tqdm.write(line, file=_stream())


def duration(seconds):
    """A duration in words, rounded.

    Examples
    --------
    >>> duration(7850), duration(200), duration(12)
    ('2 h 11 min', '3 min', '12 s')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class _Display:
    """A file that shows the last line written to it as one output of the notebook, updated in place.

    A stream would keep every state of a bar in a notebook that papermill or nbconvert executes.
    """

    def __init__(self):
        self._handle = None

    def write(self, text):
        from IPython.display import display

        content = {"text/plain": text.rsplit("\r", 1)[-1].strip()}
        if not content["text/plain"]:   # the end of a line
            return
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def flush(self):
        """Nothing is kept back."""


def _is_notebook():
    return type(sys.stdout).__module__.startswith("ipykernel")


def _stream():
    # A notebook shows stderr on red, like an error. In a terminal, stdout is reserved for results.
    return sys.stdout if _is_notebook() else sys.stderr
