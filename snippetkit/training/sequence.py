"""A small network on views over time, the outputs of pretrained networks.

The sequences are computed once, so an epoch takes seconds.
"""

import torch
from torch import nn
from torch.nn import functional

_WIDTH = 96     # of each view after its projection
_HIDDEN = 128   # of the convolutions over time
_MOST_DEVIATIONS = 6   # standard deviations from the mean, beyond which a value is cut


class SequenceNetwork(nn.Module):
    """Projects each view, convolves over time, and pools mean, maximum and deviation.

    Parameters
    ----------
    sizes : list of int
        Channels of each view.
    classes : int
    dropout : float, 0 to 1
        Of the pooled numbers. Input channels are dropped with half this probability, each from a whole clip.
    """

    def __init__(self, sizes, *, classes, dropout):
        super().__init__()
        width = _WIDTH * len(sizes)
        self._sizes = list(sizes)
        self.channel_dropout = nn.Dropout1d(dropout / 2)
        self.projections = nn.ModuleList(nn.Conv1d(size, _WIDTH, 1) for size in sizes)
        self.norm = nn.BatchNorm1d(width)
        self.first = _convolution(width, _HIDDEN)
        self.second = _convolution(_HIDDEN, _HIDDEN)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(3 * (width + _HIDDEN), classes))

    def forward(self, features):
        """Logits of clips.

        Parameters
        ----------
        features : Tensor, shape (clips, speeds, frames, channels)
            Standardised; the views side by side. In training, a random speed of each clip is used; otherwise, the
            logits are means over the speeds.

        Returns
        -------
        Tensor, shape (clips, classes)
        """
        clips, speeds = features.shape[:2]
        if not self.training:
            return torch.stack([self._logits(features[:, speed]) for speed in range(speeds)]).mean(dim=0)
        chosen = torch.randint(speeds, (clips,), device=features.device) if speeds > 1 else 0
        return self._logits(features[torch.arange(clips, device=features.device), chosen])

    def _logits(self, features):
        """Logits of clips at one speed: Tensor (clips, frames, channels) to (clips, classes)."""
        channels = self.channel_dropout(features.transpose(1, 2).clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS))
        views = [project(view) for project, view in zip(self.projections, channels.split(self._sizes, dim=1))]
        projected = functional.relu(self.norm(torch.cat(views, dim=1)))
        hidden = self.first(projected)
        hidden = hidden + self.second(hidden)
        frames = torch.cat([projected, hidden], dim=1).float()      # squares of small deviations vanish in fp16
        return self.head(torch.cat([frames.mean(dim=2), frames.amax(dim=2), frames.std(dim=2, correction=0)], dim=1))


def _convolution(inputs, outputs):
    return nn.Sequential(nn.Conv1d(inputs, outputs, 3, padding=1), nn.BatchNorm1d(outputs), nn.ReLU())
