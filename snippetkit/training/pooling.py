"""Log-linear pooling: one weight per kind of scores, fitted by maximum likelihood.

Genest and Zidek, "Combining probability distributions" (1986). It is a logistic regression with one coefficient a kind.
With one for each kind and class, it would fit the songs, of which there are only some hundred.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

_BOUNDS = (-6.0, 6.0)   # of the logarithm of a weight


def fit_weights(scores, labels):
    """Weights with which the weighted sum of scores is the best logit.

    Parameters
    ----------
    scores : iterable of ndarray, shape (clips, classes)
        One per kind, of clips that the kind was not fitted to.
    labels : ndarray, shape (clips,), int

    Returns
    -------
    ndarray, shape (kinds,)
        All positive.

    Examples
    --------
    >>> certain, noise = np.array([[1.0, 0], [0, 1], [1, 0]]), np.array([[1.0, 0], [1, 0], [0, 1]])
    >>> one, other = fit_weights([certain, noise], np.array([0, 1, 0]))
    >>> bool(one > 100 * other)
    True
    """
    scores = np.stack(list(scores)).astype(np.float64)
    clips = np.arange(len(labels))

    def loss(logarithms):
        return -log_softmax(pool(scores, np.exp(logarithms)), axis=1)[clips, labels].mean()

    start = np.zeros(len(scores))
    return np.exp(minimize(loss, start, method="L-BFGS-B", bounds=[_BOUNDS] * len(scores)).x)


def pool(scores, weights):
    """The weighted sum of the scores of all kinds: ndarray, shape (clips, classes)."""
    return np.tensordot(weights, np.stack(list(scores)), axes=1)
