"""A data set of noisy song fragments that are mixed on the fly, new in every epoch.

It has the interface of the core's `SnippetDataset`, so that a network is trained and resumed like any member.
"""

from dataclasses import dataclass

import torch

from .noise import Mix, ambience, amplify, microphones, mix_at_snr, uniform


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """The sources of fragments.

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
    """A number of fragments of each song, at random positions and with random noise.

    Parameters
    ----------
    sounds : Sounds
    count : int
        Fragments of each song per epoch.
    mix : Mix
    seed : int or None
        With a seed the fragments are the same every time (for batches of one size): for validation and tests. None
        draws new ones from the generator of `batches`.
    change : callable or None
        Applied to mixes before the spectrogram: takes Tensor (batch, samples) and a seed, returns such a Tensor.
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
        """Mix the fragments batch by batch.

        Parameters
        ----------
        size : int
        order : Tensor, shape (fragments,), int64, or None
            Order of the rows; None: ascending.
        generator : torch.Generator or None
            On the CPU; not used if there is a seed.

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
        """Noisy fragments of these songs: Tensor (batch,) of int64 to (batch, samples)."""
        sounds, count = self.sounds, len(songs)
        offsets = sounds.songs.draw(songs, sounds.samples, generator=generator)
        signals = amplify(sounds.songs.cut(songs, offsets, sounds.samples), self.mix.gain)
        noises = ambience(sounds.noises, count, sounds.samples, self.mix, generator=generator)
        mixes = mix_at_snr(signals, noises, uniform(count, *self.mix.snr, generator=generator))
        if self.change is None:
            return mixes
        return self.change(mixes, torch.randint(2**31, (1,), generator=generator).item())
