"""The classical methods of scikit-learn and hmmlearn, on one vector per clip or on its frames."""

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from .methods import Method

_MOST_FRAMES = 40_000   # of a class, that a density is fitted to

# Hidden layers of the fully connected networks. The first are those of the genre study; the others are the kit's.
LAYERS = (
    (512, 256), (64,), (256,), (1024,), (128, 64), (256, 128), (1024, 512), (512, 256, 128), (1024, 512, 256),
)


def clip_methods(features):
    """Methods that take one vector per clip: list of `Method`.

    Parameters
    ----------
    features : str
        What the numbers are, for the table.
    """
    makers = {
        "k-NN, 15": lambda seed: KNeighborsClassifier(15, weights="distance"),
        "SVM, linear": lambda seed: CalibratedClassifierCV(SVC(kernel="linear", C=0.01), ensemble=False),
        "SVM, RBF": lambda seed: CalibratedClassifierCV(SVC(C=10), ensemble=False),
        "random forest": lambda seed: RandomForestClassifier(500, n_jobs=-1, random_state=seed),
        "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    }
    return [_on_scaled(name, features, make) for name, make in makers.items()]


def dense_networks(features):
    """Fully connected networks as in the genre study: Adam at 1e-4, batches of 32, early stopping with patience 3.

    A random tenth of the training clips decides when to stop, as scikit-learn does it; an artist may be on both sides.

    Parameters
    ----------
    features : str
        What the numbers are, for the table.

    Returns
    -------
    list of Method
    """
    return [
        _on_scaled("dense " + "-".join(map(str, layers)), features, lambda seed, layers=layers: MLPClassifier(
            layers, learning_rate_init=1e-4, batch_size=32, early_stopping=True, n_iter_no_change=3, max_iter=300,
            random_state=seed,
        )) for layers in LAYERS
    ]


def _on_scaled(name, features, make):
    return Method(name, features, lambda seed: make_pipeline(StandardScaler(), make(seed)), count_parameters)


def frame_methods(features):
    """Methods that take the frames of a clip, (frames, columns): list of `Method`."""
    makers = {"Gaussian mixtures, 16": GaussianMixtures, "HMM, 6 states": HiddenMarkov}
    return [Method(name, features, make, count_parameters) for name, make in makers.items()]


def count_parameters(fitted):
    """Number of values that a fitted estimator keeps from its training set: int.

    Support vectors and stored clips count, and one per node of a tree. The statistics of a scaler do not count.

    Examples
    --------
    >>> count_parameters(KNeighborsClassifier(1).fit(np.zeros((5, 3)), np.arange(5)))
    15
    """
    if hasattr(fitted, "model_"):       # a network of torch
        return sum(weights.numel() for weights in fitted.model_.parameters())
    if hasattr(fitted, "fitted_"):      # of a grid search
        return count_parameters(fitted.fitted_)
    if hasattr(fitted, "densities_"):
        return sum(np.size(getattr(density, name)) for density in fitted.densities_ for name in fitted.PARAMETERS)
    return int(next((count(fitted) for kind, count in _COUNTS.items() if isinstance(fitted, kind)), 0))


_COUNTS = {
    Pipeline: lambda fitted: sum(count_parameters(step) for _, step in fitted.steps),
    CalibratedClassifierCV: lambda fitted: count_parameters(fitted.calibrated_classifiers_[0].estimator),
    SVC: lambda fitted: fitted.support_vectors_.size + fitted.dual_coef_.size + fitted.intercept_.size,
    KNeighborsClassifier: lambda fitted: fitted.n_samples_fit_ * fitted.n_features_in_,
    RandomForestClassifier: lambda fitted: sum(tree.tree_.node_count for tree in fitted.estimators_),
    HistGradientBoostingClassifier: lambda fitted: sum(len(tree.nodes) for step in fitted._predictors for tree in step),
    MLPClassifier: lambda fitted: sum(weights.size for weights in [*fitted.coefs_, *fitted.intercepts_]),
    PCA: lambda fitted: fitted.components_.size + fitted.mean_.size,
}


class _DensityClassifier(ClassifierMixin, BaseEstimator):
    """Fits a density to the frames of each class and predicts the class with the highest posterior probability.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, clips, labels):
        self.classes_ = np.unique(labels)
        frames = clips.reshape(-1, clips.shape[-1])
        self.mean_, self.deviation_ = frames.mean(axis=0), np.maximum(frames.std(axis=0), 1e-6)
        self.densities_ = [self._fit_density(self._scaled(clips[labels == label])) for label in self.classes_]
        self.prior_ = np.log(np.mean(labels[:, None] == self.classes_, axis=0))
        return self

    def predict_proba(self, clips):
        # The mean over the frames, not their sum: neighbouring frames are not independent.
        scores = np.stack([self._score(density, self._scaled(clips)) for density in self.densities_], axis=1)
        scores += self.prior_ / clips.shape[1]
        return softmax(scores, axis=1)

    def _scaled(self, clips):
        return (clips - self.mean_) / self.deviation_


class GaussianMixtures(_DensityClassifier):
    """A mixture of 16 Gaussians per class, with diagonal covariances."""

    PARAMETERS = ("weights_", "means_", "covariances_")

    def _fit_density(self, clips):
        frames = clips.reshape(-1, clips.shape[-1])
        chosen = np.random.default_rng(self.seed).permutation(len(frames))[:_MOST_FRAMES]
        return GaussianMixture(16, covariance_type="diag", reg_covar=1e-3, random_state=self.seed).fit(frames[chosen])

    def _score(self, density, clips):
        return density.score_samples(clips.reshape(-1, clips.shape[-1])).reshape(len(clips), -1).mean(axis=1)


class HiddenMarkov(_DensityClassifier):
    """A hidden Markov model per class, of six Gaussian states with diagonal covariances."""

    PARAMETERS = ("startprob_", "transmat_", "means_", "_covars_")

    def _fit_density(self, clips):
        from hmmlearn.hmm import GaussianHMM

        most = max(1, _MOST_FRAMES // clips.shape[1])
        clips = clips[np.random.default_rng(self.seed).permutation(len(clips))[:most]]
        model = GaussianHMM(6, covariance_type="diag", min_covar=1e-2, n_iter=10, random_state=self.seed)
        return model.fit(clips.reshape(-1, clips.shape[-1]), lengths=[clips.shape[1]] * len(clips))

    def _score(self, density, clips):
        return np.array([density.score(clip) for clip in clips]) / clips.shape[1]
