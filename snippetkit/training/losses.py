"""What a network is punished for: cross-entropy, with answers to uneven classes and to clips that are easy already."""

import torch


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
    """Weights by which every class counts the same: Tensor (clips,) of int64 to (classes,), their mean over clips 1."""
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, len(labels) / (counts.clamp_min(1) * (counts > 0).sum()), 0).float()
