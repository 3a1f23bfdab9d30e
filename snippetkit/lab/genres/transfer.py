"""Transfer learning: inner layers of networks trained on photographs as features of spectrograms.

A genre study used VGG16 and ResNet50 in this way. The weights are torchvision's, trained on ImageNet.
"""

import functools
import pickle
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
from ..cache import cached_array, checksum
from ..classical import count_parameters
from ..methods import Method

_BATCH = 16
_SIDE = 224
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)    # of ImageNet's colours

# Each network's layers: name of the features, as in the study, to the node in torchvision's network.
LAYERS = {
    "vgg16": {"VGG16 fc1": "classifier.1", "VGG16 fc2": "classifier.4", "VGG16 block5_pool": "avgpool"},
    "resnet50": {"ResNet50 avgpool": "flatten", "ResNet50 last stage, first ReLU": "layer4.0.relu"},
}

# Values that the grid search tries. Those of the study are unknown; these are the kit's.
GRIDS = {
    "SVM, linear": (SVC(kernel="linear"), {"C": [0.001, 0.01, 0.1, 1.0]}),
    "SVM, RBF": (SVC(), {"C": [1.0, 10.0, 100.0], "gamma": ["scale", 1e-4, 1e-3]}),
    "MLP": (MLPClassifier(max_iter=300, random_state=0),
            {"hidden_layer_sizes": [(128,), (256,)], "learning_rate_init": [1e-3, 1e-2]}),
}


def pretrained_network(name, *, weights=""):
    """One of torchvision's networks with weights from ImageNet.

    Parameters
    ----------
    name : str
        'vgg16' or 'resnet50'.
    weights : path-like
        Folder with torchvision's file. Empty: torchvision's cache, else a download. 'random': an untrained network,
        which shows what the architecture alone is worth.

    Returns
    -------
    nn.Module

    Raises
    ------
    KitError
        If there are no weights, or they are damaged.
    """
    if str(weights) == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return models.get_model(name, weights=None).eval()
    known = models.get_model_weights(name).IMAGENET1K_V1
    file = Path(known.url).name
    try:
        if str(weights):
            state = torch.load(Path(weights, file), map_location="cpu", weights_only=True)
        else:
            state = known.get_state_dict(progress=False, check_hash=True)
        network = models.get_model(name, weights=None)
        network.load_state_dict(state)
    except OSError as error:
        where = f"in {weights}" if str(weights) else "in torchvision's cache and could not be downloaded"
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise KitError(
            f"the ImageNet weights of {name} are not {where} ({reason}). Put {file} from {known.url} into a folder and "
            "give that folder, or leave these networks out (weights none)."
        ) from error
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise KitError(
            f"{file} in {weights or 'the cache of torchvision'} is damaged or belongs to another network. Delete it, "
            f"and download it again from {known.url}."
        ) from error
    return network.eval()


def require_weights(folder, weights):
    """Raise the error of `pretrained_network` before anything is computed.

    Parameters
    ----------
    folder : path-like
        As in `cached_layer_outputs`; a network whose outputs are there needs no weights.
    weights : path-like
    """
    for name, layers in LAYERS.items() if str(weights) not in ("random", "none") else ():
        if not all(any(Path(folder).glob(f"{layer}-*.npz")) for layer in layers):
            pretrained_network(name, weights=weights)


def imagenet_inputs(features):
    """Spectrograms as inputs for networks that were trained on ImageNet.

    Parameters
    ----------
    features : Tensor, shape (clips, frames, bands)

    Returns
    -------
    Tensor, shape (clips, 3, 224, 224)
        Grey, each clip scaled to its own range, low bands at the bottom.

    Examples
    --------
    >>> imagenet_inputs(torch.rand(2, 1280, 128)).shape
    torch.Size([2, 3, 224, 224])
    """
    low, high = features.amin(dim=(1, 2), keepdim=True), features.amax(dim=(1, 2), keepdim=True)
    grey = ((features - low) / (high - low).clamp_min(1e-6)).transpose(1, 2).flip(1)[:, None]
    grey = torch.nn.functional.interpolate(grey, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    mean, deviation = (torch.tensor(values)[None, :, None, None] for values in (_MEAN, _DEVIATION))
    return (grey - mean) / deviation


def layer_outputs(features, name, *, weights="", device):
    """Outputs of the inner layers of one network.

    Parameters
    ----------
    features : ndarray, shape (clips, frames, bands)
    name : str
        'vgg16' or 'resnet50'.
    weights : path-like
        As in `pretrained_network`.
    device : Device

    Returns
    -------
    dict
        Layer, as in `LAYERS`, to ndarray, shape (clips, numbers), float32. Feature maps are averaged over their area:
        the whole maps, as in the study, have up to 100,000 numbers.
    """
    nodes = {node: layer for layer, node in LAYERS[name].items()}
    extractor = create_feature_extractor(pretrained_network(name, weights=weights), nodes).eval().to(device.name)
    starts = range(0, len(features), _BATCH)
    batches = {layer: [] for layer in nodes.values()}
    for start in progress(starts, total=len(starts), title=name, unit="batch"):
        clips = torch.tensor(np.asarray(features[start : start + _BATCH]), dtype=torch.float32)
        inputs = imagenet_inputs(clips).to(device.name)
        with torch.inference_mode(), device.autocast():
            outputs = extractor(inputs)
        for layer, output in outputs.items():
            output = output.float().cpu()
            batches[layer].append(output.mean(dim=(2, 3)) if output.ndim == 4 else output)
    return {layer: torch.cat(parts).numpy() for layer, parts in batches.items()}


def cached_layer_outputs(folder, features, *, weights="", device):
    """Outputs of all `LAYERS`, computed once and kept in a folder.

    Parameters
    ----------
    folder : path-like
        Gets one file per layer.
    features : ndarray, shape (clips, frames, bands)
    weights, device
        As in `layer_outputs`; with weights 'none' there are no layers.

    Returns
    -------
    dict
        Name of the layer, followed by "untrained" if the weights are random, to ndarray, shape (clips, numbers).
    """
    source = [checksum(features), str(weights), torchvision.__version__]
    outputs, note = {}, ", untrained" if str(weights) == "random" else ""
    for name, layers in LAYERS.items() if str(weights) != "none" else ():
        compute = functools.cache(functools.partial(layer_outputs, features, name, weights=weights, device=device))
        for layer in layers:
            outputs[layer + note] = cached_array(folder, layer, [*source, layer], lambda: compute()[layer])
    return outputs


def layer_methods(features, *, shares, cv):
    """Principal components and a classifier whose parameters a grid search chooses: list of `Method`.

    Parameters
    ----------
    features : str
        Name of the layer, for the table.
    shares : sequence of float
        Of the variance, that the components keep; a method for each.
    cv : int
        Parts of the cross-validation in which the grid is searched, within the training set. They are drawn clip by
        clip, as in the study. An artist may be in two parts, which may affect the choice but not the evaluation.
    """
    def make(share, name, seed):
        search = BestOfGrid(*GRIDS[name], cv, seed)
        return make_pipeline(StandardScaler(), PCA(share, svd_solver="full"), search)

    return [
        Method(f"PCA {share:.0%}, {name}", features, functools.partial(make, share, name), count_parameters)
        for share in shares for name in GRIDS
    ]


class BestOfGrid(ClassifierMixin, BaseEstimator):
    """A classifier with the best parameters of a grid search; an SVM is then calibrated, for its probabilities.

    Parameters
    ----------
    classifier : estimator
    grid : dict
        Name of a parameter to the values that are tried.
    cv, seed : int
    """

    def __init__(self, classifier, grid, cv=10, seed=0):
        self.classifier, self.grid, self.cv, self.seed = classifier, grid, cv, seed

    def fit(self, inputs, labels):
        parts = StratifiedKFold(self.cv, shuffle=True, random_state=self.seed)
        search = GridSearchCV(self.classifier, self.grid, cv=parts, refit=False).fit(inputs, labels)
        best = clone(self.classifier).set_params(**search.best_params_)
        if isinstance(best, SVC):
            best = CalibratedClassifierCV(best, ensemble=False)
        self.fitted_ = best.fit(inputs, labels)
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, inputs):
        return self.fitted_.predict_proba(inputs)
