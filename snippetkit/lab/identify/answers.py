"""The answer about a recording, whether a network or a fingerprint index gives it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

UNKNOWN = "unknown song"    # the answer for a song that is not there


@dataclass(frozen=True)
class Identification:
    """Which song a recording is from.

    Attributes
    ----------
    title : str
        Name of the song, or `UNKNOWN`.
    top : dict
        Name of each of the likeliest songs to its score, in descending order.
    unit : str
        What a score is: ``probability`` or ``pairs`` (of spectral peaks).
    develop : callable
        Computes `over_time`, which a table of many recordings does not show.
    reason : str
        Why the song is unknown, if it is.
    """

    title: str
    top: dict
    unit: str
    develop: Callable
    reason: str = ""

    @cached_property
    def over_time(self):
        """Seconds of the recording, the title after them, and the score of the likeliest song: list of tuple."""
        return self.develop()

    def describe(self):
        """The answer as lines of text: the likeliest songs, and how the answer develops."""
        lines = [f"{UNKNOWN}: {self.reason}"] if self.title == UNKNOWN else []
        lines += [f"{self._score(score)}  {name}" for name, score in self.top.items()]
        answers = [f"after {seconds:.0f} s {title} ({self._score(score).strip()})"
                   for seconds, title, score in self.over_time]
        return "\n".join(lines + ([f"over time: {', '.join(answers)}"] if answers else []))

    def _score(self, score):
        return f"{score:6d}" if isinstance(score, int) else f"{score:6.3f}"
