"""Features and labels as one tensor each on the device, and batches of them.

All clips fit into memory many times over, so the training loop neither decodes nor reads a file.
"""

import numpy as np
import torch
from torch.utils.data import Dataset


class SnippetDataset(Dataset):
    """Clips in the form that a network takes.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)
        May be memory-mapped; copied to the device.
    labels : ndarray, shape (clips,), int, or None
        None for a test set.
    device : str
    statistics : tuple of ndarray, or None
        Mean and standard deviation of each band, as from `extraction.band_statistics`, to standardise the features.
    channels : int
        Number of spectra; the columns of `features` hold their bands side by side.

    Examples
    --------
    >>> clips = SnippetDataset(np.zeros((5, 299, 80)), np.arange(5) % 4, channels=2)
    >>> [(features.shape, labels.tolist()) for features, labels in clips.batches(3)]
    [(torch.Size([3, 2, 299, 40]), [0, 1, 2]), (torch.Size([2, 2, 299, 40]), [3, 0])]
    """

    def __init__(self, features, labels=None, *, device="cpu", statistics=None, channels=1):
        values = torch.tensor(np.asarray(features), dtype=torch.float32, device=device)
        if statistics is not None:
            mean, deviation = (torch.tensor(array, dtype=torch.float32, device=device) for array in statistics)
            values.sub_(mean).div_(deviation)
        self.statistics = statistics
        self.features = values.unflatten(-1, (channels, -1)).movedim(-2, 1)  # (clips, channels, frames, bands)
        self.labels = None if labels is None else torch.tensor(labels, dtype=torch.int64, device=device)

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        """One clip, shape (channels, frames, bands); with its label if there are labels."""
        return self.features[index] if self.labels is None else (self.features[index], self.labels[index])

    def batches(self, size, *, order=None, generator=None):
        """Cut the clips into batches.

        Parameters
        ----------
        size : int
        order : Tensor, shape (clips,), int64, or None
            Rows in the order of the batches; None is ascending. The last batch may be smaller.
        generator : torch.Generator or None
            Unused here; for datasets that compute their clips in each epoch.

        Yields
        ------
        Tensor, shape (batch, channels, frames, bands); with labels, shape (batch,), if there are any
        """
        if order is None:
            order = torch.arange(len(self))
        for rows in order.to(self.features.device).split(size):
            yield self[rows]
