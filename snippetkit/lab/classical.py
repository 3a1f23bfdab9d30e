"""The methods of the textbooks that are no networks, on numbers of clips or of frames, by scikit-learn and hmmlearn."""

import numpy as np
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

_FRAMES_AT_MOST = 40_000    # of a class, that a mixture learns from

# Of the fully connected networks, from the first layer to the last but one.
LAYERS = (
    (512, 256), (64,), (256,), (1024,), (128, 64), (256, 128), (1024, 512), (512, 256, 128), (1024, 512, 256),
)


def on_clips(features):
    """Methods that take one row of numbers a clip: list of `Method`.

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
    return [
        Method(name=name, features=features, make=_scaled(make), parameters=learned) for name, make in makers.items()
    ]


def dense_networks(features):
    """Fully connected networks of the genre study's kind: Adam at 1e-4, batches of 32, early stopping with patience 3.

    The first of `LAYERS` is the study's; the other eight sizes are the kit's. Whether to stop is told by a tenth of the
    clips to train on, drawn by chance, whatever artist they are of: scikit-learn's way.

    Parameters
    ----------
    features : str
        What the numbers are, for the table.

    Returns
    -------
    list of Method
    """
    return [
        Method(name="dense " + "-".join(map(str, layers)), features=features, make=_dense(layers),
               parameters=learned)
        for layers in LAYERS
    ]


def _dense(layers):
    return _scaled(lambda seed: MLPClassifier(
        layers, learning_rate_init=1e-4, batch_size=32, early_stopping=True, n_iter_no_change=3, max_iter=300,
        random_state=seed,
    ))


def learned(fitted):
    """How many numbers a fitted estimator of scikit-learn keeps of the clips that it learned from: int.

    Support vectors and stored clips count as such; a node of a tree is one number. What a scaler measured does not
    count: any method could do without.
    """
    if isinstance(fitted, Pipeline):
        return sum(learned(step) for _, step in fitted.steps)
    if hasattr(fitted, "fitted_"):      # what a search wraps
        return learned(fitted.fitted_)
    if hasattr(fitted, "densities_"):
        return sum(np.size(getattr(density, name)) for density in fitted.densities_ for name in fitted.LEARNED)
    return int(next((count(fitted) for kind, count in _COUNTS.items() if isinstance(fitted, kind)), 0))


_COUNTS = {
    CalibratedClassifierCV: lambda fitted: learned(fitted.calibrated_classifiers_[0].estimator),
    SVC: lambda fitted: fitted.support_vectors_.size + fitted.dual_coef_.size + fitted.intercept_.size,
    KNeighborsClassifier: lambda fitted: fitted.n_samples_fit_ * fitted.n_features_in_,
    RandomForestClassifier: lambda fitted: sum(tree.tree_.node_count for tree in fitted.estimators_),
    HistGradientBoostingClassifier: lambda fitted: sum(len(tree.nodes) for step in fitted._predictors for tree in step),
    MLPClassifier: lambda fitted: sum(weights.size for weights in [*fitted.coefs_, *fitted.intercepts_]),
    PCA: lambda fitted: fitted.components_.size + fitted.mean_.size,
}


def on_frames(features):
    """Methods that take the frames of a clip, (frames, numbers): list of `Method`."""
    return [
        Method(name="Gaussian mixtures, 16", features=features, make=GaussianMixtures, parameters=learned),
        Method(name="HMM, 6 states", features=features, make=HiddenMarkov, parameters=learned),
    ]


def _scaled(make):
    return lambda seed: make_pipeline(StandardScaler(), make(seed))


class _OfFrames(ClassifierMixin, BaseEstimator):
    """One density a class over frames; the class under which a clip's frames are likeliest is the answer.

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
        self.densities_ = [self._density(self._scaled(clips[labels == label])) for label in self.classes_]
        self.prior_ = np.log(np.mean(labels[:, None] == self.classes_, axis=0))
        return self

    def predict_proba(self, clips):
        # The mean over the frames: their sum would claim a certainty that neighbouring frames do not have.
        levels = np.stack([self._level(density, self._scaled(clips)) for density in self.densities_], axis=1)
        levels += self.prior_ / clips.shape[1]
        likely = np.exp(levels - levels.max(axis=1, keepdims=True))
        return likely / likely.sum(axis=1, keepdims=True)

    def _scaled(self, clips):
        return (clips - self.mean_) / self.deviation_


class GaussianMixtures(_OfFrames):
    """A mixture of 16 Gaussians a class, with diagonal covariances."""

    LEARNED = ("weights_", "means_", "covariances_")

    def _density(self, clips):
        frames = clips.reshape(-1, clips.shape[-1])
        chosen = np.random.default_rng(self.seed).permutation(len(frames))[:_FRAMES_AT_MOST]
        return GaussianMixture(16, covariance_type="diag", reg_covar=1e-3, random_state=self.seed).fit(frames[chosen])

    def _level(self, density, clips):
        return density.score_samples(clips.reshape(-1, clips.shape[-1])).reshape(len(clips), -1).mean(axis=1)


class HiddenMarkov(_OfFrames):
    """A hidden Markov model of six Gaussian states a class, with diagonal covariances."""

    LEARNED = ("startprob_", "transmat_", "means_", "_covars_")

    def _density(self, clips):
        from hmmlearn.hmm import GaussianHMM

        most = max(1, _FRAMES_AT_MOST // clips.shape[1])
        clips = clips[np.random.default_rng(self.seed).permutation(len(clips))[:most]]
        model = GaussianHMM(6, covariance_type="diag", min_covar=1e-2, n_iter=10, random_state=self.seed)
        return model.fit(clips.reshape(-1, clips.shape[-1]), lengths=[clips.shape[1]] * len(clips))

    def _level(self, density, clips):
        return np.array([density.score(clip) for clip in clips]) / clips.shape[1]
