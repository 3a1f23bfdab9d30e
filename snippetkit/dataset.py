"""Features and labels as one tensor each, resident on the device, and the batches cut from them.

Decoding or reading a file inside the training loop would be waste: all clips fit into memory many times over.
"""

import numpy as np
import torch
from torch.utils.data import Dataset


class SnippetDataset(Dataset):
    """Clips as a network takes them.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)
        Memory-mapped or not; copied to the device.
    labels : ndarray, shape (clips,), int, or None
        None where they are to be predicted.
    device : str
    statistics : tuple of ndarray, or None
        Mean and deviation of each band, as `features.band_statistics` gives them, to standardise with.
    channels : int
        The bands of so many spectra stand side by side in the columns.
    """

    def __init__(self, features, labels=None, *, device="cpu", statistics=None, channels=1):
        values = torch.tensor(np.asarray(features), dtype=torch.float32, device=device)
        if statistics is not None:
            mean, deviation = (torch.tensor(each, dtype=torch.float32, device=device) for each in statistics)
            values.sub_(mean).div_(deviation)
        self.features = values.unflatten(-1, (channels, -1)).movedim(-2, 1)  # (clips, channels, frames, bands)
        self.labels = None if labels is None else torch.tensor(labels, dtype=torch.int64, device=device)

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        """One clip, shape (channels, frames, bands), or a clip and its label."""
        return self.features[index] if self.labels is None else (self.features[index], self.labels[index])

    def batches(self, size, *, order=None, generator=None):
        """Cut the clips into batches.

        Parameters
        ----------
        size : int
        order : Tensor, shape (clips,), int64, or None
            Rows in the order wanted; None is ascending. The last batch may be smaller.
        generator : torch.Generator or None
            For data sets that make their clips as they go; these are what they are.

        Yields
        ------
        Tensor (batch, channels, frames, bands), or that and the labels (batch,)
        """
        if order is None:
            order = torch.arange(len(self))
        for rows in order.to(self.features.device).split(size):
            yield self[rows]
