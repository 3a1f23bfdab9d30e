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
    """

    def __init__(self, features, labels=None, *, device="cpu", statistics=None):
        values = torch.tensor(np.asarray(features), dtype=torch.float32, device=device)
        if statistics is not None:
            mean, deviation = (torch.tensor(each, dtype=torch.float32, device=device) for each in statistics)
            values.sub_(mean).div_(deviation)
        self.features = values.unsqueeze(1)  # (clips, 1, frames, bands)
        self.labels = None if labels is None else torch.tensor(labels, dtype=torch.int64, device=device)

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        """One clip, shape (1, frames, bands), or a clip and its label."""
        return self.features[index] if self.labels is None else (self.features[index], self.labels[index])

    def batches(self, size, *, order=None):
        """Cut the clips into batches.

        Parameters
        ----------
        size : int
        order : Tensor, shape (clips,), int64, or None
            Rows in the order wanted; None is ascending. The last batch may be smaller.

        Yields
        ------
        Tensor (batch, 1, frames, bands), or that and the labels (batch,)
        """
        if order is None:
            order = torch.arange(len(self))
        for rows in order.to(self.features.device).split(size):
            yield self[rows]
