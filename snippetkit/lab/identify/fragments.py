"""Fragments of songs under noise, mixed on request: a data set that is new in every epoch.

It has the interface of `dataset.SnippetDataset`, so a network is trained and resumed like every member.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .noise import Mix, amplify, draw_uniform, make_backgrounds, mix_at_snr, random_responses
from .phone import record_batch


class SoundBank:
    """Recordings of any length in one tensor, and fragments of them in batches.

    Parameters
    ----------
    signals : sequence of ndarray, shape (samples,)
        None may be empty.
    device : str

    Attributes
    ----------
    device : torch.device
    lengths : Tensor, shape (recordings,), int64, on the CPU
        In samples.
    """

    def __init__(self, signals, *, device="cpu"):
        self._samples = torch.tensor(np.concatenate(signals), dtype=torch.float32, device=device)
        self.device = self._samples.device
        self.lengths = torch.tensor([len(signal) for signal in signals])
        self._starts = (torch.cumsum(self.lengths, 0) - self.lengths).tolist()

    def __len__(self):
        return len(self.lengths)

    def cut_fragments(self, recordings, offsets, samples):
        """Cut one fragment per row. A recording that is too short is repeated.

        Parameters
        ----------
        recordings : Tensor, shape (fragments,), int64
            Numbers of recordings.
        offsets : Tensor, shape (fragments,), int64
            First sample of each fragment within its recording.
        samples : int
            Length of a fragment.

        Returns
        -------
        Tensor, shape (fragments, samples), float32

        Examples
        --------
        >>> SoundBank([[1.0, 2.0, 3.0]]).cut_fragments(torch.tensor([0]), torch.tensor([1]), 4)
        tensor([[2., 3., 1., 2.]])
        """
        fragments = torch.zeros(len(recordings), samples, device=self.device)
        self.add_fragments(fragments, recordings, offsets, torch.ones(len(recordings)))
        return fragments

    def add_fragments(self, sums, recordings, offsets, factors):
        """Add a fragment to each row of a tensor, in place.

        Fragments are slices, one after the other: a gather with an index per sample takes several times as long.

        Parameters
        ----------
        sums : Tensor, shape (fragments, samples)
        recordings, offsets
            As in `cut_fragments`.
        factors : Tensor, shape (fragments,)
        """
        columns = recordings.tolist(), self.lengths[recordings].tolist(), offsets.tolist(), factors.tolist()
        for row, number, length, offset, factor in zip(sums, *columns):
            start, done = self._starts[number], 0
            while factor and done < len(row):
                end = min(length, offset + len(row) - done)
                row[done : done + end - offset].add_(self._samples[start + offset : start + end], alpha=factor)
                done, offset = done + end - offset, 0

    def draw_offsets(self, recordings, samples, *, generator):
        """Draw where a fragment of each recording starts, uniformly from all places where it fits.

        Parameters
        ----------
        recordings : Tensor, shape (fragments,), int64
        samples : int
        generator : torch.Generator, on the CPU

        Returns
        -------
        Tensor, shape (fragments,), int64
            Any place if the recording is shorter than a fragment, because it is repeated.
        """
        lengths = self.lengths[recordings]
        places = torch.where(lengths > samples, lengths - samples + 1, lengths)
        return (torch.rand(len(recordings), generator=generator, dtype=torch.float64) * places).long()


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """What fragments are made from, on one device.

    Attributes
    ----------
    songs, noises : SoundBank
    spectrogram : MelSpectrogram
    samples : int
        Length of a fragment.
    """

    songs: SoundBank
    noises: SoundBank
    spectrogram: object
    samples: int


class NoisyFragments:
    """Some fragments of each song, from random places and under random noise.

    Parameters
    ----------
    sounds : Sounds
    count : int
        Fragments of each song in an epoch.
    mix : Mix
    seed : int or None
        With a seed, the fragments are the same whenever they are requested in batches of the same size: for validation
        and tests. With None they are drawn from the generator that `batches` gets.
    phone : bool
        Whether the mixes are recorded by a simulated phone, see `phone.record_with_phone`.
    """

    def __init__(self, sounds, count, *, mix=Mix(), seed=None, phone=False):
        self.sounds, self.mix, self.seed, self.phone = sounds, mix, seed, phone
        self.labels = torch.arange(len(sounds.songs)).repeat_interleave(count).to(sounds.songs.device)

    def __len__(self):
        return len(self.labels)

    def batches(self, size, *, order=None, generator=None):
        """Mix the fragments batch by batch.

        Parameters
        ----------
        size : int
        order : Tensor, shape (fragments,), int64, or None
            Order of the rows; None is ascending.
        generator : torch.Generator or None
            On the CPU; ignored if there is a seed.

        Yields
        ------
        Tensor (batch, 1, frames, bands), and the numbers of the songs (batch,)
        """
        for signals, gains, labels in self.mixes(size, order=order, generator=generator):
            yield self.sounds.spectrogram(signals, gains), labels

    def mixes(self, size, *, order=None, generator=None):
        """What `batches` makes spectrograms of; same parameters.

        Yields
        ------
        signals : Tensor, shape (batch, samples)
        gains : Tensor, shape (batch, bands), or None
            As from `noise.random_responses`.
        labels : Tensor, shape (batch,)
        """
        order = torch.arange(len(self)) if order is None else order
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed)
        for rows in order.split(size):
            labels = self.labels[rows.to(self.labels.device)]
            signals, gains = self.mix_fragments(labels.cpu(), generator), None
            if self.mix.colour:
                gains = random_responses(len(labels), self.sounds.spectrogram.frequencies, generator=generator)
            yield signals, gains, labels

    def mix_fragments(self, songs, generator):
        """Mix a fragment of each song.

        Parameters
        ----------
        songs : Tensor, shape (batch,), int64
            Numbers of songs.
        generator : torch.Generator, on the CPU

        Returns
        -------
        Tensor, shape (batch, samples)
        """
        sounds, mix, count = self.sounds, self.mix, len(songs)
        offsets = sounds.songs.draw_offsets(songs, sounds.samples, generator=generator)
        signals = amplify(sounds.songs.cut_fragments(songs, offsets, sounds.samples), mix.gain)
        noises = make_backgrounds(sounds.noises, count, sounds.samples, mix, generator=generator)
        mixes = mix_at_snr(signals, noises, draw_uniform(count, *mix.snr, generator=generator))
        if not self.phone:
            return mixes
        seed = torch.randint(2**31, (1,), generator=generator).item()
        return record_batch(mixes, sounds.spectrogram.recipe.sample_rate, seed=seed)
