"""Similarity of clips, trained on pairs of clips of one song.

Probabilistic linear discriminant analysis: Ioffe, ECCV 2006; for pairs as in Prince and Elder, ICCV 2007. Scores are
normalised as in speaker recognition: adaptive S-norm, Matějka et al., Interspeech 2017.
"""

from functools import cached_property

import numpy as np

_COMPONENTS = 200       # principal components that are kept
_SEPARATES = 1.3        # least variance over all clips (1 within a song) of a direction that separates songs
_COHORT = 0.2           # share of all clips, the most similar ones, that normalises a clip's scores
_ROWS = 512             # rows of the clip-by-clip table that are computed at once


class Likeness:
    """The odds that two clips are of one song, by their sound.

    Along each direction that separates songs, a song has a position, and its clips scatter around it with variance 1.

    Parameters
    ----------
    sound : ndarray, shape (clips, numbers)
        As in `traces.Traces`.
    first, second : ndarray, shape (pairs,), int
        Clips that belong together.
    """

    def __init__(self, sound, first, second):
        from scipy.linalg import eigh
        from sklearn.covariance import ledoit_wolf

        values = principal_components(sound)
        difference = (values[first] - values[second]) / np.sqrt(2)
        within, _ = ledoit_wolf(difference, assume_centered=True)
        within += 1e-3 * np.trace(within) / len(within) * np.eye(len(within))
        total, directions = eigh(np.cov(values, rowvar=False), within)
        separates = total > _SEPARATES
        self._positions = (values @ directions[:, separates]).astype(np.float32)
        # The pair's covariance along a direction is [[t, t - 1], [t - 1, t]] for one song, [[t, 0], [0, t]] for two.
        t = total[separates]
        determinant = 2 * t - 1
        self.clips = len(values)
        self._product = ((t - 1) / determinant).astype(np.float32)
        alone = -0.5 * np.square(self._positions) @ (t / determinant - 1 / t)
        self._alone = (alone - 0.25 * np.sum(np.log(determinant) - 2 * np.log(t))).astype(np.float32)

    def log_odds(self, rows):
        """Logarithm of the likelihood ratio: the two clips are of one song, or of two.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        ndarray, shape (rows, clips), float32
        """
        product = (self._positions[rows] * self._product) @ self._positions.T
        return product + self._alone[rows, None] + self._alone

    def scores(self, rows):
        """Log-odds of two clips, standardised by the log-odds of each clip with its cohort.

        A clip that sounds like many others has high log-odds with all of them; standardised scores mean the same for
        every clip and every competition.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        ndarray, shape (rows, clips), float32
        """
        mean, deviation = self._cohort
        odds = self.log_odds(rows)
        return ((odds - mean[rows, None]) / deviation[rows, None] + (odds - mean) / deviation) / 2

    @cached_property
    def _cohort(self):
        """Mean and deviation of each clip's log-odds with its cohort: two ndarrays, shape (clips,), float32."""
        size = max(1, int(_COHORT * self.clips))
        mean, deviation = np.empty((2, self.clips), np.float32)
        for start in range(0, self.clips, _ROWS):
            rows = slice(start, min(start + _ROWS, self.clips))
            odds = self.log_odds(rows)
            odds[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -np.inf   # with itself
            highest = np.partition(odds, -size, axis=1)[:, -size:]
            mean[rows], deviation[rows] = highest.mean(axis=1), highest.std(axis=1) + 1e-6
        return mean, deviation


def principal_components(sound):
    """Principal components of the standardised values: at most `_COMPONENTS`, fewer for few clips."""
    values = sound.astype(np.float64) - sound.mean(axis=0, dtype=np.float64)
    values /= values.std(axis=0) + 1e-6
    directions = np.linalg.eigh(values.T @ values)[1]
    return values @ directions[:, : -1 - min(_COMPONENTS, len(values) // 3) : -1]
