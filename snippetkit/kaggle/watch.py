"""Waiting for what Kaggle does with what was sent, for hours if need be, over connections that come and go."""

import time

from ..utils.errors import KitError
from ..utils.progress import say

DONE = ("ready", "complete")
_RUNS = ("queued", "running")
_FAILED = ("failed", "deleted", "error", "cancel_requested", "cancel_acknowledged")
# Looks in a row after which contact counts as lost.
_LOST_LOOKS = 10
# Looks after which "complete" is believed of what was sent just now; before, it may be said of the version before.
_STALE_LOOKS = 5


def wait(look, what, seconds, *, stale=0):
    """Look until it is done, and say every change; lost contact is found again.

    Parameters
    ----------
    look : callable
        Gives a status, in lower case, and what Kaggle says of a failure, or None.
    what : str
        For the sentences.
    seconds : float
        Between two looks.
    stale : int
        First looks in which an end is not believed.

    Raises
    ------
    KitError
        If it failed there.
    """
    before, looks = None, 0
    while True:
        status, failure = _patiently(look, seconds)
        looks += 1
        if before is None and looks <= stale and status in (*DONE, *_FAILED):
            time.sleep(seconds)
            continue
        if status != before:
            say(f"{what}: {status}")
        if status in DONE:
            return
        if status in _FAILED:
            raise KitError(f"{what} ended as {status}{f': {failure}' if failure else ''}; its log is on Kaggle.")
        before = status
        time.sleep(seconds)


def wait_for_notebook(api, reference, seconds, *, sent_now=False):
    """Wait for a notebook to run to its end.

    Parameters
    ----------
    api : KaggleApi
    reference : str
        ``owner/name``.
    seconds : float
    sent_now : bool
        Whether an end may still be that of the version before.

    Raises
    ------
    KitError
        If it failed there.
    """
    wait(lambda: _look(api, reference), reference, seconds, stale=_STALE_LOOKS if sent_now else 0)


def wait_if_it_runs(api, reference, seconds):
    """Wait for a notebook that was sent before; gives whether it was still running."""
    try:
        status, _ = _patiently(lambda: _look(api, reference), seconds)
    except (OSError, ValueError) as error:
        if is_missing(error):
            return False
        raise
    if status not in _RUNS:
        return False
    say(f"{reference} was sent before and runs still: it is waited for")
    wait_for_notebook(api, reference, seconds)
    return True


def is_missing(error):
    """Whether an error of the client's means that there is no such thing; Kaggle says that it is forbidden."""
    # of a notebook the client makes a ValueError of its own of it
    return status_code(error) in (403, 404) or isinstance(error, ValueError) and "Cannot access" in str(error)


def _look(api, reference):
    found = api.kernels_status(reference)
    return getattr(found.status, "name", str(found.status)).lower(), found.failure_message


def _patiently(look, seconds):
    """What a look gives, even if contact is lost for a while."""
    for left in reversed(range(_LOST_LOOKS)):
        try:
            return look()
        except OSError as error:
            if not (left and _passes(error)):
                raise
        time.sleep(seconds)


def _passes(error):
    """Whether it is likely to pass: no connection, no answer in time, too many questions, a fault on Kaggle's side."""
    import requests

    code = status_code(error)
    is_lost = isinstance(error, (requests.ConnectionError, requests.Timeout))
    return is_lost or code == 429 or code is not None and code >= 500


def status_code(error):
    """The HTTP status behind an error of the client's, or None."""
    return getattr(getattr(error, "response", None), "status_code", None)
