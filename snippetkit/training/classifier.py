"""A classifier on pretrained features: kernel ridge regression on the classes.

Saunders, Gammerman and Vovk, "Ridge regression learning algorithm in dual variables" (1998); without the bias it is the
least-squares SVM of Suykens and Vandewalle (1999). It has a closed form, and is kept as arrays, as a network is.
"""

import numpy as np
import torch
from torch import nn

from ..songs import folds
from ..utils.errors import KitError
from .pooling import fit_weights


class KernelMachine(nn.Module):
    """Standardises, projects, compares with the training clips, and calibrates.

    Its buffers get their shapes when they are loaded.

    Parameters
    ----------
    arrays : dict of str to ndarray, or None
        As `fit` makes them; None: empty, to be loaded.
    """

    _BUFFERS = ("mean", "projection", "clips", "coefficients", "width", "temperature")

    def __init__(self, arrays=None):
        super().__init__()
        for name in self._BUFFERS:
            values = np.zeros(0) if arrays is None else arrays[name]
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))

    def forward(self, features):
        """Logits of clips.

        Parameters
        ----------
        features : Tensor, shape (clips, speeds, 1, numbers)

        Returns
        -------
        Tensor, shape (clips, classes), float32
            Means over the speeds.
        """
        with torch.autocast(features.device.type, enabled=False):   # distances of large vectors need all digits
            projected = (features.float().flatten(2) - self.mean) @ self.projection
            kernel = torch.exp(-self.width * torch.cdist(projected, self.clips).square())
            return self.temperature * (kernel @ self.coefficients).mean(dim=1)

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        for name in self._BUFFERS:
            if (values := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(values, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def fit(data, recipe, member):
    """Fit the classifier of a fold.

    Parameters
    ----------
    data : TrainingData
        With the views of the recipe.
    recipe : Recipe
        With ``views``, ``components``, ``width`` and ``ridge``.
    member : int

    Returns
    -------
    KernelMachine

    Raises
    ------
    KitError
        As `folds.split`; if a class has no clip in the training set.
    """
    rows, _ = folds.split(data, recipe, member)
    stored, labels = data.view_training_set(recipe, rows)
    if len(missing := set(range(data.classes)) - set(labels)):
        raise KitError(f"member_{member:02d}: no clip of class {min(missing)} is in the training set.")
    # The clips at their own speed come first. They alone define the projection and the temperature.
    own, speeds = slice(len(rows)), np.split(stored[:], recipe.channels, axis=1)
    mean, projection = _projection(speeds[0][own], _weights(data, recipe), recipe.components)
    clips = np.concatenate([(numbers - mean) @ projection for numbers in speeds])
    width = recipe.width / max(float(np.square(clips[own]).sum(axis=1).mean()), 1e-12)
    targets = np.tile(np.where(labels[:, np.newaxis] == np.arange(data.classes), 1.0, -1.0), (len(speeds), 1))
    kernel = _kernel(clips, width)
    inner = folds.inner_folds(data, recipe, rows)
    temperature = _temperature(kernel[own, own], targets[own], labels[own], inner, recipe.ridge)
    return KernelMachine({
        "mean": mean, "projection": projection, "clips": clips, "coefficients": _solve(kernel, targets, recipe.ridge),
        "width": width, "temperature": temperature,
    }).eval()


def _weights(data, recipe):
    """A weight for each number, so that all views have the same share in a distance, however many numbers they have."""
    sizes = [data.views[name]["train"].array.shape[1] for name in recipe.views.split("+")]
    return np.repeat(1 / np.sqrt(sizes), sizes)


def _projection(features, weights, components):
    """Mean, and the matrix that standardises and weights the numbers and keeps their first principal components."""
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    scale = np.divide(weights, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    standardised = (features - mean) * scale
    # of the smaller of the two products, which have the same eigenvalues
    if len(features) < features.shape[1]:
        values, vectors = np.linalg.eigh(standardised @ standardised.T)
        kept = _largest(values, components)
        axes = standardised.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    else:
        values, vectors = np.linalg.eigh(standardised.T @ standardised)
        axes = vectors[:, _largest(values, components)]
    return mean, scale[:, np.newaxis] * axes


def _largest(values, count):
    """Where the largest eigenvalues are, without those that are zero up to rounding."""
    order = np.argsort(values)[::-1][:count]
    return order[values[order] > 1e-9 * values[order[0]]]


def _kernel(clips, width):
    """Kernel of all pairs: ndarray, shape (clips, clips). Computed in place: at three speeds it has gigabytes."""
    squares, kernel = np.square(clips).sum(axis=1), clips @ clips.T
    kernel *= -2
    kernel += squares[:, np.newaxis]
    kernel += squares
    np.maximum(kernel, 0, out=kernel)
    kernel *= -width
    return np.exp(kernel, out=kernel)


def _solve(kernel, targets, ridge):
    """Coefficients of the clips; the kernel is overwritten."""
    from scipy.linalg import cho_factor, cho_solve

    kernel[np.diag_indices_from(kernel)] += ridge
    factor = cho_factor(kernel.T, overwrite_a=True, check_finite=False)     # of a symmetric matrix, without a copy
    return cho_solve(factor, targets, check_finite=False)


def _temperature(kernel, targets, labels, fold, ridge):
    """The factor that makes logits of scores, from the scores of clips of other songs."""
    scores = np.empty_like(targets)
    for number in np.unique(fold):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        scores[outside] = kernel[np.ix_(outside, inside)] @ _solve(
            kernel[np.ix_(inside, inside)], targets[inside], ridge
        )
    return float(fit_weights([scores], labels)[0])
