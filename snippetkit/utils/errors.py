"""Errors with a message for the user."""

from contextlib import contextmanager


class KitError(Exception):
    """An error that the user can correct. The message says what is wrong, where, and what to do.

    The command line and notebooks print the message without a traceback.
    """

    def _render_traceback_(self):
        # IPython calls this before it formats its own traceback.
        return [f"{type(self).__name__}: {self}"]


class Stopped(KitError):
    """The user stopped the work. The message says what is kept and how to continue."""


@contextmanager
def report_os_error(problem, advice=""):
    """Turn an OSError inside the block into a KitError.

    Parameters
    ----------
    problem : str
        Such as ``clip.mp3 cannot be read``; the system's reason follows it.
    advice : str
        What to do, in whole sentences.

    Raises
    ------
    KitError
    """
    try:
        yield
    except OSError as error:
        raise KitError(f"{problem}: {error.strerror or error}. {advice}".rstrip()) from error


def listed(names, *, most=5):
    """Join names for a message: the first ones, and the number of the others.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = [str(name) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
