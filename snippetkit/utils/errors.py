"""The exceptions that are meant for the person at the keyboard."""


class KitError(Exception):
    """A fault that the person who runs the kit can mend; its text says what, which file and what to do.

    The command line prints the text alone, and so does a notebook: a traceback would only hide the sentence.
    """

    def _render_traceback_(self):
        # IPython asks an exception for this before it formats a traceback of its own.
        return [f"{type(self).__name__}: {self}"]


class Stopped(KitError):
    """The person at the keyboard stopped the work; the text says what is kept and how to go on."""


def listed(names, *, most=5):
    """Join names for a sentence: the first few, then how many more there are."""
    names = [str(name) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
