"""Fragments of songs under noise, mixed as they are asked for: a data set that is new in every epoch.

It stands where the core's `SnippetDataset` stands, so that a member is trained and resumed as any other.
"""

from dataclasses import dataclass

import torch

from .noise import Mix, ambience, amplify, microphones, mix_at_snr, uniform


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """What fragments are made from.

    Attributes
    ----------
    songs, noises : Bank
        On the same device.
    spectrogram : MelSpectrogram
        On the same device.
    samples : int
        Of a fragment.
    """

    songs: object
    noises: object
    spectrogram: object
    samples: int


class NoisyFragments:
    """So many fragments of each song, from random places and under random noise.

    Parameters
    ----------
    sounds : Sounds
    count : int
        Fragments of each song; an epoch shows them all.
    mix : Mix
    seed : int or None
        A number makes the same fragments every time that they are asked for in batches of one size, for validation and
        tests; None draws new ones from the generator that `batches` is given.
    change : callable or None
        What happens to a mix before its spectrogram: Tensor (batch, samples) and a seed to Tensor (batch, samples).
    """

    def __init__(self, sounds, count, *, mix=Mix(), seed=None, change=None):
        self.sounds = sounds
        self.mix = mix
        self.seed = seed
        self.change = change
        self.labels = torch.arange(len(sounds.songs)).repeat_interleave(count).to(sounds.songs.device)

    def __len__(self):
        return len(self.labels)

    def batches(self, size, *, order=None, generator=None):
        """Mix the fragments, a batch at a time.

        Parameters
        ----------
        size : int
        order : Tensor, shape (fragments,), int64, or None
            Rows in the order wanted; None is ascending.
        generator : torch.Generator or None
            On the CPU; what is new about an epoch is drawn from it, unless there is a seed.

        Yields
        ------
        Tensor (batch, 1, frames, bands), and the numbers of the songs (batch,)
        """
        order = torch.arange(len(self)) if order is None else order
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed)
        for rows in order.split(size):
            labels = self.labels[rows.to(self.labels.device)]
            mixes, gains = self.mixed(labels.cpu(), generator), None
            if self.mix.colour:
                gains = microphones(len(labels), self.sounds.spectrogram.frequencies, generator=generator)
            yield self.sounds.spectrogram(mixes, gains), labels

    def mixed(self, songs, generator):
        """Fragments of these songs as they sound: Tensor (batch,) of int64 to (batch, samples)."""
        sounds, count = self.sounds, len(songs)
        places = sounds.songs.draw(songs, sounds.samples, generator=generator)
        signals = amplify(sounds.songs.cut(songs, places, sounds.samples), self.mix.gain)
        noises = ambience(sounds.noises, count, sounds.samples, self.mix, generator=generator)
        mixes = mix_at_snr(signals, noises, uniform(count, *self.mix.snr, generator=generator))
        if self.change is None:
            return mixes
        return self.change(mixes, torch.randint(2**31, (1,), generator=generator).item())
