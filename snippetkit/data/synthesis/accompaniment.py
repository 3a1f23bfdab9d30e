"""The accompaniment of a song: chords, bass and drums in a loop, and solos in sections without voice."""

import numpy as np

from .music import RATE, contour, hertz, melody, timbre, wave


def accompaniment(spans, band, samples, rng):
    """A loop of four bars with chords, bass and usually drums, shape (samples,); louder in sections without voice."""
    roots = np.repeat(band.chords, 4)  # one per beat
    strum, decay = rng.choice([1, 2, 4]), rng.choice([0.15, 0.4, 1.5, 9])  # beats; seconds, plucked to sustained
    loop = rng.uniform(0.25, 0.5) * plucked(instrument(2.2, rng), band.midi(roots) - 24, band.beat, 0.5)
    keys = instrument(rng.uniform(1.1, 2.2), rng)
    for third in (-3, -1, 1):
        loop += 0.3 * plucked(keys, band.midi(roots[::strum] + third), strum * band.beat, decay)
    if rng.random() < 0.8:
        loop += rng.uniform(0.3, 1) * drums(band, len(loop), rng)
    music, level, solo = np.resize(loop, samples), loop.std(), instrument(rng.uniform(1.1, 2), rng)
    for start, end, label in spans:
        here = music[int(start * RATE):int(end * RATE)]
        # A solo has the pitch range of voices. Sometimes an instrument plays along with a voice.
        if rng.random() < (0.6 if label == 0 else 0.15):
            line = melody(band, rng.uniform(54, 74), end - start, rng)
            f0, loud = contour(line, band, len(here), rng.uniform(4.5, 6.5), rng.choice([0, 0.2, 0.5]), rng)
            here += (1.2 if label == 0 else 0.5) * level * wave(solo, f0) * loud
        if label == 0:
            here *= rng.uniform(1.1, 2.2)  # as loud as with voices, so that loudness does not reveal the class
    return music


def instrument(slope, rng):
    """A timbre whose harmonics decrease as 1 / harmonic ** slope, with random variation."""
    return timbre(np.arange(1, 60) ** -slope * rng.uniform(0.3, 1, 59) * np.exp(2j * np.pi * rng.random(59)))


def plucked(periods, midi, seconds, decay):
    """A sequence of notes, each `seconds` long, that decay with the time constant `decay` in seconds."""
    time = np.arange(round(seconds * RATE)) / RATE
    envelope = (np.exp(-time / decay) * np.minimum(time / 0.005, 1)).astype(np.float32)
    notes = {m: wave(periods, np.full(len(time), hertz(m))) * envelope for m in set(midi.tolist())}
    return np.concatenate([notes[m] for m in midi.tolist()])


def drums(band, samples, rng):
    """Bass drum, snare and cymbal on eighth notes, the same in every bar."""
    time = np.arange(int(0.25 * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    kick = np.sin(2 * np.pi * (50 * time - 4 * np.exp(-time / 0.03))) * np.exp(-time / 0.08)
    snare = (0.5 * noise + np.sin(2 * np.pi * 190 * time)) * np.exp(-time / rng.uniform(0.03, 0.08))
    cymbal = 0.25 * np.diff(noise, append=0) * np.exp(-time / rng.uniform(0.01, 0.06))
    beaten = np.zeros(samples + len(time), np.float32)
    for eighth, at in enumerate(np.arange(0, samples - 1, band.beat / 2 * RATE).astype(int)):
        beaten[at:at + len(time)] += cymbal + kick * (eighth % 8 in (0, 4, 5)) + snare * (eighth % 4 == 2)
    return beaten[:samples]
