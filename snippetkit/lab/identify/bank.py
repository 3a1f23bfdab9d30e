"""Many recordings in one tensor, and fragments cut out of them by the batch.

What is cut, and where, is for others to draw.
"""

import numpy as np
import torch


class Bank:
    """Recordings one behind the other.

    Parameters
    ----------
    signals : sequence of ndarray, shape (samples,)
        One each; none may be empty.
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
        self.lengths = torch.tensor([len(each) for each in signals])
        self._starts = (torch.cumsum(self.lengths, 0) - self.lengths).tolist()

    def __len__(self):
        return len(self.lengths)

    def cut(self, which, offsets, samples):
        """Fragments; a recording that ends inside its fragment begins again.

        Parameters
        ----------
        which : Tensor, shape (fragments,), int64
            Numbers of recordings.
        offsets : Tensor, shape (fragments,), int64
            First samples within them.
        samples : int
            Length of each fragment.

        Returns
        -------
        Tensor, shape (fragments, samples), float32
        """
        fragments = torch.zeros(len(which), samples, device=self.device)
        self.add(fragments, which, offsets, torch.ones(len(which)))
        return fragments

    def add(self, fragments, which, offsets, factors):
        """Add a fragment of a recording to each row of some, in place.

        Slices, one by one: to gather all of them by an index of every sample takes several times as long.

        Parameters
        ----------
        fragments : Tensor, shape (fragments, samples)
        which, offsets
            As in `cut`.
        factors : Tensor, shape (fragments,)
            How much of it.
        """
        places = zip(fragments, which.tolist(), self.lengths[which].tolist(), offsets.tolist(), factors.tolist())
        for row, number, length, offset, factor in places:
            if not factor:
                continue
            start, done = self._starts[number], 0
            while done < len(row):
                end = min(length, offset + len(row) - done)
                row[done : done + end - offset].add_(self._samples[start + offset : start + end], alpha=factor)
                done, offset = done + end - offset, 0

    def draw(self, which, samples, *, generator):
        """Where a fragment of each of these recordings may begin: uniform over all places at which it fits.

        Parameters
        ----------
        which : Tensor, shape (fragments,), int64
        samples : int
        generator : torch.Generator, on the CPU

        Returns
        -------
        Tensor, shape (fragments,), int64
            Any place at all in a recording that is shorter than a fragment, since that begins again.
        """
        lengths = self.lengths[which]
        places = torch.where(lengths > samples, lengths - samples + 1, lengths)
        return (torch.rand(len(which), generator=generator, dtype=torch.float64) * places).long()
