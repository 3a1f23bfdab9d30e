"""Features and labels of clips, and batches of them on the device.

Log-mel features of all clips fit into memory many times over, so the training loop neither decodes nor reads a file.
Views of pretrained networks do not, and are read batch by batch.
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
        self._set(labels, device, statistics, channels)
        self.features = self._tensor(features)

    def _set(self, labels, device, statistics, channels):
        self.statistics, self._device, self._channels = statistics, device, channels
        self._scale = statistics and [torch.tensor(array, dtype=torch.float32, device=device) for array in statistics]
        self.labels = None if labels is None else torch.tensor(labels, dtype=torch.int64, device=device)

    def _tensor(self, features):
        """ndarray (clips, frames, columns) to a standardised Tensor (clips, channels, frames, bands).

        Clips without frames, (clips, columns), have a single one.
        """
        values = torch.tensor(np.asarray(features), device=self._device).float()
        if values.ndim == 2:
            values = values[:, None]
        if self._scale:
            mean, deviation = self._scale
            values.sub_(mean).div_(deviation)
        return values.unflatten(-1, (self._channels, -1)).movedim(-2, 1)

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
        for rows in order.to(self._device).split(size):
            yield self[rows]


class StoredDataset(SnippetDataset):
    """A `SnippetDataset` that reads the features of a batch when the batch is needed.

    Parameters
    ----------
    features : sequence of ndarray, shape (frames, columns)
        With ``features[rows]`` an ndarray of some clips, as of a memory-mapped array.
    labels, device, statistics, channels
        As in `SnippetDataset`.

    Attributes
    ----------
    features : Tensor, shape (clips, channels, frames, bands)
        Of all clips; read anew whenever it is requested.
    """

    def __init__(self, features, labels=None, *, device="cpu", statistics=None, channels=1):
        self._set(labels, device, statistics, channels)
        self._stored = features

    def __len__(self):
        return len(self._stored)

    def __getitem__(self, rows):
        """Some clips, shape (clips, channels, frames, bands); with their labels if there are labels."""
        features = self._tensor(self._stored[rows.cpu().numpy()])
        return features if self.labels is None else (features, self.labels[rows])

    @property
    def features(self):
        return self._tensor(self._stored[np.arange(len(self))])
