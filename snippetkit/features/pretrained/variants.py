"""More clips for classifiers on pretrained features: faster and slower ones, and sums of two voices.

A clip that is played faster is higher, too (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015).
A model is trained on all speeds, and its predictions for a clip are averaged over them.
"""

from dataclasses import dataclass

import numpy as np
import soxr

from ...data.labels import CLASSES
from ...utils.artifacts import digest
from ...utils.progress import say
from ...vocals.clips import Sources

# Ends of the names of arrays, for each of `Recipe.speeds`.
SPEED_NAMES = ("", "_faster", "_slower")
DUETS = "duets"
DUET_CLASS = len(CLASSES) - 1       # more than one voice
_ONE_VOICE = (1, 2)
_LEVELS = (-4.0, 4.0)   # dB, of the second voice relative to the first


def change_speed(samples, semitones):
    """Play clips faster and higher, or slower and lower; they keep their length.

    Parameters
    ----------
    samples : ndarray, shape (clips, samples)
    semitones : float
        Positive: faster. What is missing at the end is mirrored.

    Returns
    -------
    ndarray, shape (clips, samples), float32

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)[np.newaxis]
    >>> faster = change_speed(tone, 12)         # an octave
    >>> faster.shape, int(np.abs(np.fft.rfft(faster[0, :8_000])).argmax())      # in steps of 2 Hz
    ((1, 16000), 440)
    """
    if not semitones:
        return samples
    length, ratio = samples.shape[1], 2 ** (semitones / 12)
    changed = [soxr.resample(clip, ratio, 1.0)[:length] for clip in samples]
    return np.stack([np.pad(clip, (0, length - len(clip)), mode="reflect") for clip in changed]).astype(np.float32)


@dataclass(frozen=True)
class Duets:
    """Sums of two train clips in which one voice sings, as clips of more than one voice.

    Attributes
    ----------
    sources : Sources
        Of the train clips.
    rows : ndarray, shape (duets, 2), int
        Rows of the two clips among the train clips.
    levels : ndarray, shape (duets,)
        Of the second voice relative to the first, in dB.
    """

    sources: Sources
    rows: np.ndarray
    levels: np.ndarray

    @classmethod
    def draw(cls, sources, labels, songs, recipe, classes):
        """Draw pairs of clips of one fold and of different songs: as many as `wanted_duets` says, or as there are.

        Parameters
        ----------
        sources : Sources
            Of the train clips.
        labels : ndarray, shape (clips,), int
        songs : Songs
        recipe : Recipe
        classes : sequence of str
        """
        rng = np.random.default_rng(recipe.split_seed)
        count, rows = wanted_duets(recipe, labels, classes), np.zeros((0, 2), int)
        if count:
            rows = rng.choice(np.flatnonzero(np.isin(labels, _ONE_VOICE)), (50 * count, 2))
        group, fold = songs.group[rows], songs.fold[rows]
        rows = rows[(group[:, 0] != group[:, 1]) & (fold[:, 0] == fold[:, 1])][:count]
        if len(rows) < recipe.duets:
            say(f"{len(rows)} of {recipe.duets} duets could be drawn: they need the kit's own classes and, in a fold, "
                "clips with one voice of two songs or more.")
        return cls(sources, rows, rng.uniform(*_LEVELS, len(rows)))

    @property
    def ids(self):
        return list(range(len(self.rows)))

    @property
    def fingerprint(self):
        return digest([self.sources.fingerprint, self.rows.tolist(), self.levels.round(6).tolist()])

    @property
    def weights(self):
        return self.sources.weights

    def load(self, duet, sound, recipe, rate):
        """The vocals of both clips, or the mixture of the first with the vocals of the second: ndarray (samples,)."""
        clips = [self.sources.ids[row] for row in self.rows[duet]]
        first, second = (self.sources.load(clip, "vocals", recipe, rate) for clip in clips)
        ratio = 10 ** (self.levels[duet] / 20) * _level(first) / _level(second)
        carrier = first if sound == "vocals" else self.sources.load(clips[0], sound, recipe, rate)
        total = carrier + ratio * second
        return (total / max(1.0, np.abs(total).max())).astype(np.float32)


def wanted_duets(recipe, labels, classes):
    """How many duets are to be drawn: none with other classes than the kit's, or without clips with one voice."""
    return recipe.duets if tuple(classes) == CLASSES and np.isin(labels, _ONE_VOICE).any() else 0


def _level(signal):
    return np.sqrt(np.square(signal).mean()) + 1e-6
