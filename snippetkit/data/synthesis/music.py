"""What singers and instruments share: key, tempo, chords and melodies, and a timbre played at a pitch."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

CLIP_RATE = 44_100      # Hz, of the competition's files
CLIP_SAMPLES = 132_300  # 3 s
RATE = 22_050           # Hz; half is enough, since songs have little energy above 11 kHz
PIECE = CLIP_SAMPLES * RATE // CLIP_RATE
CONTROL = 105           # samples between two values of a slow curve: 210 values per second
# Formants of men in Hz: averages as commonly quoted from Peterson & Barney (1952), table II; F4 and F5 are about those
# of a uniform tube of 17.5 cm. In that table, women's formants are about 1.17 times higher because of a shorter vocal
# tract; see `singing.Singer`.
VOWELS = {
    "heed": (270, 2290, 3010, 3500, 4500), "head": (530, 1840, 2480, 3500, 4500),
    "had": (660, 1720, 2410, 3500, 4500), "hod": (730, 1090, 2440, 3500, 4500),
    "hawed": (570, 840, 2410, 3500, 4500), "who'd": (300, 870, 2240, 3500, 4500),
}
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))   # major and minor, semitones


class Note(NamedTuple):
    """One note of a melody; step 0 of the scale is the tonic, 7 its octave."""

    start: float    # seconds
    end: float
    step: int
    vowel: str


class Band(NamedTuple):
    """Key, tempo and chords of a song."""

    key: int        # MIDI note of step 0
    scale: tuple    # semitones of the seven steps
    beat: float     # seconds, a whole number of samples
    chords: tuple   # steps of the roots, one per bar

    @classmethod
    def drawn(cls, rng):
        """Draw a random key, tempo and chord sequence."""
        beat = round(60 / rng.uniform(70, 140) * RATE) / RATE
        return cls(int(rng.integers(55, 67)), SCALES[rng.integers(2)], beat, tuple(rng.choice([0, 0, 2, 3, 4, 5], 4)))

    def midi(self, step):
        """MIDI note of a step of the scale.

        Examples
        --------
        >>> int(Band(60, SCALES[0], 0.5, (0, 3, 4, 0)).midi(7))
        72
        """
        octave, degree = np.divmod(step, 7)
        return self.key + 12 * octave + np.asarray(self.scale)[degree]

    def step_near(self, midi):
        """The step of the scale near a MIDI note."""
        return round((midi - self.key) * 7 / 12)


def melody(band, centre, seconds, rng):
    """A list of notes in phrases, with a pause for breath between phrases."""
    home = band.step_near(centre)
    notes, now, step = [], 0.0, home
    while now < seconds - 0.25:
        phrase_end = min(now + rng.uniform(2.0, 4.5), seconds)
        while now < phrase_end - 0.15:
            length = min(max(band.beat * rng.choice([0.5, 0.5, 1, 1, 1.5, 2]), 0.2), phrase_end - now)
            notes.append(Note(now, now + length, int(step), list(VOWELS)[rng.integers(len(VOWELS))]))
            # A step or a small leap, with a tendency towards the middle of the range.
            pull = np.sign(step - home) * rng.integers(0, 2)
            step = np.clip(step + rng.choice([-2, -1, -1, 0, 1, 1, 2]) - pull, home - 4, home + 4)
            now += length
        now += rng.uniform(0.15, 0.4)
    return notes


def contour(notes, band, samples, vibrato, depth, rng):
    """Fundamental in Hz and loudness 0..1 of a melody: notes glide, vibrato starts late, both jitter."""
    time = np.arange(0, samples + CONTROL, CONTROL) / RATE
    start, end, step, _ = map(np.array, zip(*notes))
    which = np.searchsorted(start, time, side="right") - 1
    age = time - start[which]
    midi = uniform_filter1d(band.midi(step)[which].astype(float), 15)
    midi += depth * np.minimum(age / 0.4, 1) * np.sin(2 * np.pi * (vibrato * time + rng.random()))
    midi += uniform_filter1d(rng.normal(0, 0.15, len(time)), 5)
    loud = (time < end[which]) * (1 - 0.3 * np.exp(-age / 0.05)) * rng.uniform(0.7, 1, len(notes))[which]
    loud = uniform_filter1d(loud, 9) * (1 + uniform_filter1d(rng.normal(0, 0.1, len(time)), 3))
    now = np.arange(samples) / RATE
    return np.interp(now, time, hertz(midi)), np.interp(now, time, loud).astype(np.float32)


def timbre(harmonics):
    """Wavetables for `wave`, shape (12, 2048), from complex amplitudes of harmonics; their root mean square is 1."""
    # Row i holds only the harmonics that are below half the sample rate for f0 < 55 * 2 ** ((i + 1) / 2).
    most = RATE / 2 / (55 * 2 ** (np.arange(1, 13) / 2))
    spectrum = np.zeros((12, 1025), complex)
    spectrum[:, 1:len(harmonics) + 1] = np.where(np.arange(len(harmonics)) < most[:, None] - 1, harmonics, 0)
    return (np.fft.irfft(spectrum) * 2048 / np.sqrt(2 * np.sum(np.abs(harmonics) ** 2))).astype(np.float32)


def wave(periods, f0):
    """Play a timbre at a frequency in Hz that changes over time, shape (samples,)."""
    size = periods.shape[1]
    phase = (np.cumsum(f0) * (size / RATE)).astype(np.int64) & (size - 1)  # size is a power of two
    row = np.clip(np.log2(f0[::64] / 55) * 2, 0, len(periods) - 1).astype(np.int64)
    return periods[np.repeat(row, 64)[:len(f0)], phase]


def hertz(midi):
    """Frequency in Hz of a MIDI note in equal temperament, A4 = 69 = 440 Hz.

    Examples
    --------
    >>> hertz(57)
    220.0
    """
    return 440 * 2 ** ((midi - 69) / 12)
