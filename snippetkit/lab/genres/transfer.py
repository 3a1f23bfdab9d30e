"""What networks that were trained on photographs hear in a spectrogram: their inner layers as features of clips.

A genre study took VGG16's and ResNet50's. The weights are torchvision's, from ImageNet.
"""

import functools
import pickle
import zlib
from pathlib import Path

import numpy as np
import torch
import torchvision
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from ...utils.errors import KitError
from ...utils.progress import progress
from ..classical import learned
from ..kept import kept
from ..methods import Method

_BATCH = 16
_SIDE = 224
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)    # of ImageNet's colours

# Name of the features, as the study calls them, to torchvision's network and the node within.
LAYERS = {
    "VGG16 fc1": ("vgg16", "classifier.1"),
    "VGG16 fc2": ("vgg16", "classifier.4"),
    "VGG16 block5_pool": ("vgg16", "avgpool"),
    "ResNet50 avgpool": ("resnet50", "flatten"),
    "ResNet50 last stage, first ReLU": ("resnet50", "layer4.0.relu"),
}
_NETWORKS = tuple(dict.fromkeys(name for name, _ in LAYERS.values()))
_NONE = "none"      # instead of weights: these networks are left out
SHARES = (0.90, 0.95, 0.99)     # of the variance, that principal components keep

# What is tried of each classifier. Which values the study tried is not known: these are the kit's.
GRIDS = {
    "SVM, linear": (SVC(kernel="linear"), {"C": [0.001, 0.01, 0.1, 1.0]}),
    "SVM, RBF": (SVC(), {"C": [1.0, 10.0, 100.0], "gamma": ["scale", 1e-4, 1e-3]}),
    "MLP": (MLPClassifier(max_iter=300, random_state=0),
            {"hidden_layer_sizes": [(128,), (256,)], "learning_rate_init": [1e-3, 1e-2]}),
}


def network(name, *, weights=""):
    """One of torchvision's networks with ImageNet's weights.

    Parameters
    ----------
    name : str
        'vgg16' or 'resnet50'.
    weights : path-like
        A folder that holds torchvision's file of them. Empty: torchvision's cache, else a download. 'random': an
        untrained network, which tells what the shape of a network alone is worth.

    Returns
    -------
    nn.Module

    Raises
    ------
    KitError
        If there are no weights.
    """
    known = models.get_model_weights(name).IMAGENET1K_V1
    if str(weights) == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return models.get_model(name, weights=None).eval()
    file = Path(known.url).name
    try:
        if str(weights):
            state = torch.load(Path(weights, file), map_location="cpu", weights_only=True)
        else:
            state = known.get_state_dict(progress=False, check_hash=True)
        found = models.get_model(name, weights=None)
        found.load_state_dict(state)
    except OSError as error:
        where = f"in {weights}" if str(weights) else "in torchvision's cache, and they could not be downloaded"
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise KitError(
            f"ImageNet's weights for {name} are not {where} ({reason}); put {file} from {known.url} into a folder and "
            "name it, or leave these networks out (weights none)."
        ) from error
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise KitError(
            f"{file} in {weights or 'the cache of torchvision'} is damaged or holds another network; delete it and "
            f"fetch it again from {known.url}."
        ) from error
    return found.eval()


def require_weights(folder, weights):
    """Refuse weights that `all_heard` could not take, as `network` would, before anything is computed.

    Parameters
    ----------
    folder : path-like
        As in `all_heard`; a network whose layers were heard there needs no weights any more.
    weights : path-like
    """
    for name in _NETWORKS if str(weights) not in ("random", _NONE) else ():
        if not all(Path(folder, f"{layer}.npy").exists() for layer in _layers(name)):
            network(name, weights=weights)


def _layers(name):
    return [layer for layer, (its, _) in LAYERS.items() if its == name]


def pictures(features):
    """Spectrograms as a network of photographs takes them: Tensor (clips, frames, bands) to (clips, 3, 224, 224).

    Grey, each clip from its softest to its loudest point, stretched to the size, bands upwards.
    """
    low, high = features.amin(dim=(1, 2), keepdim=True), features.amax(dim=(1, 2), keepdim=True)
    grey = ((features - low) / (high - low).clamp_min(1e-6)).transpose(1, 2).flip(1)[:, None]
    grey = torch.nn.functional.interpolate(grey, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    mean, deviation = (torch.tensor(each)[None, :, None, None] for each in (_MEAN, _DEVIATION))
    return (grey - mean) / deviation


def heard(features, name, *, weights="", device):
    """What the layers of one network say of clips.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)
    name : str
        'vgg16' or 'resnet50'.
    weights : path-like
        As in `network`.
    device : Device

    Returns
    -------
    dict
        Those of `LAYERS` that are the network's, to ndarray, shape (clips, numbers), float32. Of a map it is the mean
        over its places: the study's whole maps would be up to 100,000 numbers.
    """
    nodes = {node: layer for layer, (its, node) in LAYERS.items() if its == name}
    extractor = create_feature_extractor(network(name, weights=weights), list(nodes)).eval().to(device.name)
    found = {layer: [] for layer in nodes.values()}
    starts = range(0, len(features), _BATCH)
    for start in progress(starts, total=len(starts), title=name, unit="batch"):
        clips = torch.tensor(np.asarray(features[start : start + _BATCH]), dtype=torch.float32)
        for node, answer in _answers(extractor, pictures(clips), device).items():
            found[nodes[node]].append(answer.mean(dim=(2, 3)) if answer.ndim == 4 else answer)
    return {layer: torch.cat(answers).numpy() for layer, answers in found.items()}


def all_heard(folder, features, *, weights="", device):
    """What all of `LAYERS` say of clips, kept in a folder.

    Parameters
    ----------
    folder : path-like
        Gets a ``.npy`` a layer.
    features : ndarray, shape (clips, frames, bands)
    weights, device
        As in `heard`; with 'none' no network is asked.

    Returns
    -------
    dict
        Name of the layer, with "untrained" behind it where the weights are random, to ndarray, shape (clips, numbers).
    """
    of = [zlib.crc32(np.ascontiguousarray(features)), str(weights), torchvision.__version__]
    found, note = {}, ", untrained" if str(weights) == "random" else ""
    for name in _NETWORKS if str(weights) != _NONE else ():
        answers = functools.cache(lambda name=name: heard(features, name, weights=weights, device=device))
        for layer in _layers(name):
            found[layer + note] = kept(Path(folder, f"{layer}.npy"), [*of, layer], lambda: answers()[layer])
    return found


@torch.inference_mode()
def _answers(extractor, clips, device):
    with device.autocast():
        answers = extractor(clips.to(device.name))
    return {node: answer.float().cpu() for node, answer in answers.items()}


def on_layer(features, *, shares=SHARES, cv=10):
    """Principal components and a classifier whose choices are the best of a grid: list of `Method`.

    Parameters
    ----------
    features : str
        What layer it is, for the table.
    shares : sequence of float
        Of the variance.
    cv : int
        Parts of a cross-validation among the clips to train on, drawn clip by clip as in the study: artists that two
        parts share may sway which choices are taken, but not the judgement that follows.
    """
    return [
        Method(name=f"PCA {share:.0%}, {name}", features=features, make=_reduced(share, *GRIDS[name], cv),
               parameters=learned)
        for share in shares for name in GRIDS
    ]


def _reduced(share, classifier, grid, cv):
    return lambda seed: make_pipeline(
        StandardScaler(), PCA(share, svd_solver="full"), BestOfGrid(classifier, grid, cv, seed)
    )


class BestOfGrid(ClassifierMixin, BaseEstimator):
    """A classifier with the choices that scikit-learn's grid search found best; probabilities are added at the end.

    Parameters
    ----------
    classifier : estimator
    grid : dict
        Name to the values that are tried.
    cv, seed : int
    """

    def __init__(self, classifier, grid, cv=10, seed=0):
        self.classifier, self.grid, self.cv, self.seed = classifier, grid, cv, seed

    def fit(self, inputs, labels):
        parts = StratifiedKFold(self.cv, shuffle=True, random_state=self.seed)
        search = GridSearchCV(self.classifier, self.grid, cv=parts, refit=False).fit(inputs, labels)
        best = clone(self.classifier).set_params(**search.best_params_)
        answering = CalibratedClassifierCV(best, ensemble=False) if isinstance(best, SVC) else best
        self.fitted_ = answering.fit(inputs, labels)
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, inputs):
        return self.fitted_.predict_proba(inputs)
