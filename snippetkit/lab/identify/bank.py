"""Many recordings in one tensor, and batches of fragments cut from them."""

import numpy as np
import torch


class Bank:
    """Recordings in one tensor, one after another.

    Parameters
    ----------
    signals : sequence of ndarray, shape (samples,)
        The recordings; none may be empty.
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

    def cut(self, which, offsets, samples):
        """Cut fragments; a recording that ends inside its fragment is repeated.

        Parameters
        ----------
        which : Tensor, shape (fragments,), int64
            Indices of recordings.
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
        """Add a fragment of a recording to each row, in place.

        Slices are added one by one: gathering by an index of every sample takes several times as long.

        Parameters
        ----------
        fragments : Tensor, shape (fragments, samples)
        which, offsets
            As in `cut`.
        factors : Tensor, shape (fragments,)
            Gain of each fragment; 0 adds nothing.
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
        """Random offsets of fragments, uniform over all positions where a fragment fits.

        Parameters
        ----------
        which : Tensor, shape (fragments,), int64
        samples : int
        generator : torch.Generator, on the CPU

        Returns
        -------
        Tensor, shape (fragments,), int64
            Any position in a recording that is shorter than a fragment, because it is repeated.
        """
        lengths = self.lengths[which]
        positions = torch.where(lengths > samples, lengths - samples + 1, lengths)
        return (torch.rand(len(which), generator=generator, dtype=torch.float64) * positions).long()
