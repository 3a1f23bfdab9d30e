"""What a network with several labels per clip is trained for: tags by sigmoids, or columns of classes by softmaxes.

Both have the interface of `training.losses.OneClass`.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Tags:
    """A sigmoid per tag: mean binary cross-entropy, and the share of tags that are decided correctly at 0.5.

    Parameters
    ----------
    label_smoothing : float, 0 to 1

    Examples
    --------
    >>> Tags().loss(torch.zeros(2, 3), torch.eye(3)[:2]).round(decimals=4)      # log(2)
    tensor(0.6931)
    """

    label_smoothing: float = 0.0

    def loss(self, logits, targets):
        smooth = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, smooth)

    def correct(self, logits, targets):
        return ((logits > 0) == (targets > 0.5)).float().mean(dim=1)


@dataclass(frozen=True)
class Heads:
    """A softmax per column: the sum of their cross-entropies, and the share of columns that are predicted correctly.

    Parameters
    ----------
    sizes : tuple of int
        Number of classes of each column, in the order of the outputs.
    label_smoothing : float, 0 to 1

    Examples
    --------
    >>> targets = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0]])      # class 0 of two, class 2 of three
    >>> Heads((2, 3)).loss(torch.zeros(1, 5), targets).round(decimals=4)      # log(2) + log(3)
    tensor(1.7918)
    """

    sizes: tuple
    label_smoothing: float = 0.0

    def loss(self, logits, targets):
        return sum(
            functional.cross_entropy(part, target, label_smoothing=self.label_smoothing)
            for part, target in self._columns(logits, targets)
        )

    def correct(self, logits, targets):
        parts = [part.argmax(1) == target.argmax(1) for part, target in self._columns(logits, targets)]
        return torch.stack(parts, dim=1).float().mean(dim=1)

    def _columns(self, logits, targets):
        return zip(logits.split(self.sizes, dim=1), targets.split(self.sizes, dim=1))
