"""What clips of one song have in common, learnt from pairs that are known to belong together.

Probabilistic linear discriminant analysis: Ioffe, ECCV 2006; for pairs as in Prince and Elder, ICCV 2007. Its scores
are normalised as those of speakers are: adaptive S-norm, Matějka et al., Interspeech 2017.
"""

from functools import cached_property

import numpy as np

_COMPONENTS = 200       # principal components that are kept; each needs some pairs
_TELLING = 1.3          # variance over all clips, where it is 1 within a song, from which a direction tells songs apart
_COHORT = 0.2           # share of all clips, those that sound most alike, that a clip's scores are measured by
_ROWS = 512             # of the table of all against all that are looked at at once


class Likeness:
    """The odds that two clips are of one song, by how they sound.

    Along each direction that tells songs apart, a song has a place, and its clips scatter around it with variance 1.

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
        is_telling = total > _TELLING
        self._places = (values @ directions[:, is_telling]).astype(np.float32)
        # The pair's covariance along a direction is [[t, t - 1], [t - 1, t]] for one song, [[t, 0], [0, t]] for two.
        t = total[is_telling]
        determinant = 2 * t - 1
        self.clips = len(values)
        self._product = ((t - 1) / determinant).astype(np.float32)
        alone = -0.5 * np.square(self._places) @ (t / determinant - 1 / t)
        self._alone = (alone - 0.25 * np.sum(np.log(determinant) - 2 * np.log(t))).astype(np.float32)

    def log_odds(self, rows):
        """Logarithm of how much likelier two clips sound as they do if they are of one song than if of two.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        ndarray, shape (rows, clips), float32
        """
        product = (self._places[rows] * self._product) @ self._places.T
        return product + self._alone[rows, None] + self._alone

    def scores(self, rows):
        """By how many deviations the log-odds of two clips stand out from those of either with its cohort.

        The Gaussians are too sure of themselves, and of some clips more than of others: a clip that sounds like many
        has high odds with all of them. What stands out means the same for every clip, and for every competition.

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
            likest = np.partition(odds, -size, axis=1)[:, -size:]
            mean[rows], deviation[rows] = likest.mean(axis=1), likest.std(axis=1) + 1e-6
        return mean, deviation


def principal_components(sound):
    """The directions in which standardised numbers differ most, at most `_COMPONENTS` of them, fewer for few clips."""
    values = sound.astype(np.float64) - sound.mean(axis=0, dtype=np.float64)
    values /= values.std(axis=0) + 1e-6
    directions = np.linalg.eigh(values.T @ values)[1]
    return values @ directions[:, : -1 - min(_COMPONENTS, len(values) // 3) : -1]
