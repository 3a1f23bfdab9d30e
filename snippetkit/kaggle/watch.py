"""Waiting for datasets and notebooks on Kaggle, for hours if necessary, over unreliable connections."""

import itertools
import time

from ..utils.errors import KitError
from ..utils.progress import say

DONE = ("ready", "complete")
_RUNS = ("queued", "running")
_FAILED = ("failed", "deleted", "error", "cancel_requested", "cancel_acknowledged")
_FAILED_REQUESTS = 10   # in a row, after which the connection counts as lost
_STALE_REQUESTS = 5     # after sending, in which "complete" may refer to the version before


def wait(request, name, seconds, *, stale=0):
    """Request a status until it is final, and print every change.

    Parameters
    ----------
    request : callable
        Returns a status in lower case, and Kaggle's failure message or None.
    name : str
        For messages.
    seconds : float
        Between two requests.
    stale : int
        Number of first requests in which a final status is ignored.

    Raises
    ------
    KitError
        If it failed on Kaggle.
    """
    before = None
    for request_number in itertools.count():
        status, failure = _retried(request, seconds)
        if before or request_number >= stale or status not in (*DONE, *_FAILED):
            if status != before:
                say(f"{name}: {status}")
            if status in DONE:
                return
            if status in _FAILED:
                raise KitError(f"{name} ended as {status}{f': {failure}' if failure else ''}; see its log on Kaggle.")
            before = status
        time.sleep(seconds)


def wait_for_notebook(api, reference, seconds):
    """Wait until a notebook that was just sent has finished.

    Parameters
    ----------
    api : KaggleApi
    reference : str
        ``owner/name``.
    seconds : float

    Raises
    ------
    KitError
        If it failed on Kaggle.
    """
    wait(lambda: _status(api, reference), reference, seconds, stale=_STALE_REQUESTS)


def wait_if_it_runs(api, reference, seconds):
    """Wait for a notebook that was sent before; returns whether it was still running."""
    try:
        status, _ = _retried(lambda: _status(api, reference), seconds)
    except (OSError, ValueError) as error:
        if is_missing(error):
            return False
        raise
    if status not in _RUNS:
        return False
    say(f"{reference} is still running: waiting for it")
    wait(lambda: _status(api, reference), reference, seconds)
    return True


def is_missing(error):
    """Whether an error means that the object does not exist, which Kaggle reports as forbidden."""
    # for a notebook the client raises a ValueError
    return status_code(error) in (403, 404) or isinstance(error, ValueError) and "Cannot access" in str(error)


def _status(api, reference):
    answer = api.kernels_status(reference)
    return getattr(answer.status, "name", str(answer.status)).lower(), answer.failure_message


def _retried(request, seconds):
    """The result of a request, repeated while the connection fails."""
    for left in reversed(range(_FAILED_REQUESTS)):
        try:
            return request()
        except OSError as error:
            if not (left and _is_temporary(error)):
                raise
        time.sleep(seconds)


def _is_temporary(error):
    """Whether a request may succeed later: no connection, timeout, too many requests, server error."""
    import requests

    code = status_code(error) or 0
    return isinstance(error, (requests.ConnectionError, requests.Timeout)) or code == 429 or code >= 500


def status_code(error):
    """The HTTP status of a client's error, or None."""
    return getattr(getattr(error, "response", None), "status_code", None)
