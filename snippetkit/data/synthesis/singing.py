"""Source-filter singers: pulses of the vocal folds, filtered by the resonances of a vocal tract."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from .music import RATE, VOWELS, contour, melody, timbre, wave

BANDWIDTHS = np.array([70, 90, 130, 200, 280])  # Hz, of the five formants


class Singer(NamedTuple):
    """The parameters of a voice."""

    centre: float   # MIDI note in the middle of a range of about an octave
    tract: float    # factor of the formants, relative to the average man's
    vibrato: float  # Hz
    depth: float    # semitones, of the vibrato
    breath: float   # noise in the source, relative to its amplitude
    late: float     # seconds behind the beat

    @classmethod
    def drawn(cls, sex, rng):
        """Draw a 'male' or 'female' voice; their ranges overlap a little, as on records."""
        centre, tract = ((52, 59), (0.95, 1.05)) if sex == "male" else ((62.5, 69.5), (1.13, 1.22))
        return cls(rng.uniform(*centre), rng.uniform(*tract), rng.uniform(5, 6.5),
                   rng.uniform(0.2, 0.7), rng.uniform(0.02, 0.12), rng.uniform(0, 0.05))


def singing(spans, band, samples, rng):
    """All voices of a song, shape (samples,): a man (1), a woman (2), or the lead singer and one or two others (3)."""
    sung = np.zeros(samples, np.float32)
    cast = {1: Singer.drawn("male", rng), 2: Singer.drawn("female", rng)}
    soloists = [label for _, _, label in spans if label in cast] or [rng.integers(1, 3)]
    others = [Singer.drawn(rng.choice(["male", "female"]), rng) for _ in range(rng.choice([1, 2, 2]))]
    for start, end, label in spans:
        if label == 0:
            continue
        here = sung[int(start * RATE):int(end * RATE)]
        lead = cast.get(label, cast[soloists[0]])
        line = melody(band, lead.centre, end - start, rng)
        here += voice(lead, line, band, len(here), rng)
        for other in others if label == 3 else ():
            interval = band.step_near(other.centre) - band.step_near(lead.centre)
            interval += 2 * (interval % 7 == 0)  # a unison or an octave would sound like one voice
            # Usually parallel to the lead, as in a choir; one time in three an independent melody, as in a duet.
            second = [note._replace(step=note.step + interval) for note in line]
            second = melody(band, other.centre, end - start, rng) if rng.random() < 1 / 3 else second
            here += rng.uniform(0.9, 1.2) * voice(other, second, band, len(here), rng)
    return sung


def voice(singer, notes, band, samples, rng):
    """Sing a melody, shape (samples,): pulses and breath filtered by each note's vowel, with noise as consonants."""
    f0, loud = contour(notes, band, samples, singer.vibrato, singer.depth, rng)
    noise = rng.standard_normal(samples, dtype=np.float32)
    source = (wave(glottis(), f0) + singer.breath * noise) * loud
    sung = np.zeros(samples, np.float32)
    ramp = np.linspace(0, 1, int(0.03 * RATE), dtype=np.float32)
    for note in notes:
        # Adjacent notes overlap by the length of the ramp, so that one vowel fades into the next.
        left = int((note.start + singer.late) * RATE)
        right = min(int((note.end + singer.late) * RATE) + len(ramp), samples)
        formants = singer.tract * np.array(VOWELS[note.vowel])
        formants[0] = max(formants[0], f0[left])  # singers open the mouth for a high note
        syllable = lfilter(*vocal_tract(formants), source[left:right]).astype(np.float32)
        syllable[:len(ramp)] *= ramp
        syllable[-len(ramp):] *= ramp[::-1]
        hiss = np.diff(noise[left:min(left + rng.integers(900, 2400), right)]) * rng.choice([0, 0.4, 0.8])
        syllable[:len(hiss)] += hiss * np.hanning(len(hiss)) * syllable.std()
        sung[left:right] += syllable
    return sung


def vocal_tract(formants):
    """An all-pole filter (b, a) with resonances at `formants` (Hz) and gain 1 at 0 Hz: a cascade, after Klatt (1980).

    Examples
    --------
    >>> b, a = vocal_tract(np.array(VOWELS["head"]))
    >>> bool(np.isclose(b.sum(), a.sum())), len(a)
    (True, 11)
    """
    radius, angle = np.exp(-np.pi * BANDWIDTHS / RATE), 2 * np.pi * formants / RATE
    poles = radius * np.exp(1j * angle)
    a = np.poly(np.concatenate([poles, poles.conj()])).real
    return a.sum(keepdims=True), a


@lru_cache
def glottis():
    """The timbre of the vocal folds: -12 dB per octave, of which radiation at the lips restores 6 (Fant 1960)."""
    return timbre(1 / np.arange(1, 200))
