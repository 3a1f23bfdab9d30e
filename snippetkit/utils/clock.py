"""How much of a session is left, for stages that stop in time to save."""

import time

from .errors import KitError
from .paths import is_kaggle_batch

# Of the 12 that a session on Kaggle has: an hour to save what was made.
_KAGGLE_HOURS = 11.0


class Clock:
    """How much of a session is left.

    Parameters
    ----------
    max_hours : float
        0 is no limit, but on Kaggle in batch 11 hours. Counted from now, by a clock that nobody can set back.

    Raises
    ------
    KitError
        If it is no number of hours.
    """

    def __init__(self, max_hours=0.0):
        if not isinstance(max_hours, (int, float)) or not max_hours >= 0:
            raise KitError(f"max_hours={max_hours!r} is no number of hours; give 0 or more, 0 for no limit.")
        max_hours = max_hours or (_KAGGLE_HOURS if is_kaggle_batch() else 0.0)
        self._end = time.monotonic() + max_hours * 3600 if max_hours else float("inf")

    def hours_left(self):
        """Hours to the end, as `max_hours` of another clock; 0 where there is no limit."""
        left = (self._end - time.monotonic()) / 3600
        return 0.0 if left == float("inf") else max(left, 1e-6)

    def would_overrun(self, seconds):
        """Whether work that takes so long would end too late; a tenth is kept in reserve."""
        return time.monotonic() + 1.1 * seconds > self._end
