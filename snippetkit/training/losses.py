"""Loss functions: cross-entropy with label smoothing, class weights and focal weighting."""

import torch


class OneClass:
    """The objective of clips with one class each.

    A dataset with an attribute ``objective`` is trained and validated by that instead: an object with these two
    methods, such as that of several labels per clip. Its targets are then what the objective takes, (batch, outputs).

    Parameters
    ----------
    **options
        As in `loss`.
    """

    def __init__(self, **options):
        self.options = options

    def loss(self, logits, targets):
        """Mean loss of a batch: Tensor, shape ()."""
        return loss(logits, targets, **self.options)

    def correct(self, logits, targets):
        """Which clips are predicted correctly, or the share of each that is: Tensor, shape (batch,)."""
        # under mixup the target is the class of the larger share
        return logits.argmax(1) == (targets if targets.ndim == 1 else targets.argmax(1))


def loss(logits, targets, *, label_smoothing=0.0, focal=0.0, class_weights=None):
    """Mean loss of a batch.

    Parameters
    ----------
    logits : Tensor, shape (batch, classes), float32
    targets : Tensor, shape (batch,), int64, or (batch, classes)
        Labels or probabilities.
    label_smoothing : float, 0 to 1
    focal : float
        Exponent of ``(1 - p)`` with which each term is weighted (Lin et al., "Focal loss for dense object detection",
        ICCV 2017); 0 is cross-entropy.
    class_weights : Tensor, shape (classes,), or None
        As `balanced` gives them.

    Returns
    -------
    Tensor, shape ()

    Examples
    --------
    >>> loss(torch.zeros(2, 4), torch.tensor([0, 3])).round(decimals=4)     # log(4)
    tensor(1.3863)
    """
    if not focal and class_weights is None:
        return torch.nn.functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    classes = logits.shape[1]
    if targets.ndim == 1:
        targets = torch.nn.functional.one_hot(targets, classes).float()
    targets = targets * (1 - label_smoothing) + label_smoothing / classes
    logarithms = logits.log_softmax(dim=1)
    terms = -targets * (1 - logarithms.exp()) ** focal * logarithms
    if class_weights is not None:
        terms = terms * class_weights
    return terms.sum(dim=1).mean()


def balanced(labels, classes):
    """Class weights inversely proportional to the class frequencies.

    Parameters
    ----------
    labels : Tensor, shape (clips,), int64
    classes : int

    Returns
    -------
    Tensor, shape (classes,), float32
        Their mean over the clips is 1; 0 for a class without clips.

    Examples
    --------
    >>> balanced(torch.tensor([0, 0, 0, 1]), 3)
    tensor([0.6667, 2.0000, 0.0000])
    """
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, len(labels) / (counts.clamp_min(1) * (counts > 0).sum()), 0).float()
