"""The time left in a session, so that a stage can stop early enough to save."""

import time

from .errors import KitError
from .parameters import number
from .paths import is_kaggle_batch

_KAGGLE_HOURS = 11.0    # of the 12 hours of a Kaggle session; the last one is for saving
_START = time.monotonic()   # of the session: a notebook imports this in its first cells


class Clock:
    """The time left in a session.

    Parameters
    ----------
    max_hours : float
        Counted from now with a monotonic clock. 0 means no limit; in a Kaggle batch session 11 hours from its start.

    Raises
    ------
    KitError
        If it is negative, NaN or not a number.
    """

    def __init__(self, max_hours=0.0):
        max_hours = number("max_hours", max_hours)
        if max_hours < 0:
            raise KitError(f"max_hours={max_hours} is not a number of hours. Give 0 or more; 0 means no limit.")
        self._end = time.monotonic() + max_hours * 3600 if max_hours else float("inf")
        if not max_hours and is_kaggle_batch():
            self._end = _START + _KAGGLE_HOURS * 3600

    def hours_left(self):
        """Hours until the end, in the form that `max_hours` of another clock takes; 0 if there is no limit."""
        left = (self._end - time.monotonic()) / 3600
        return 0.0 if left == float("inf") else max(left, 1e-6)

    def would_overrun(self, seconds):
        """Whether work that takes this many seconds would end too late; a tenth is kept in reserve."""
        return time.monotonic() + 1.1 * seconds > self._end
