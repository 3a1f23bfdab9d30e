"""The factory of networks. Each takes (batch, channels, frames, bands) of any size and gives one logit per class.

No network is pretrained; initial weights come from torch's global random generator.
"""

from importlib.metadata import entry_points

from torch import nn

from .recipe import MODEL_PLUGINS
from .utils.errors import KitError


def build(name, *, classes, dropout, channels=1):
    """Build a network for log-mel features.

    Parameters
    ----------
    name : str
        'resnet34' (the published one: torchvision's with a one-channel first convolution and the head dropout →
        linear), 'resnet18', 'resnet50' and 'densenet121' (adapted likewise), 'cnn3', 'alexnet', 'dense', or a model
        that an installed package registers as an entry point of the group ``snippetkit.models``: a callable that takes
        classes, dropout and channels.
    classes : int
    dropout : float, 0 to 1
        Before the last layer; in 'alexnet' and 'dense' before the layers in front of it.
    channels : int
        Number of spectra; 1 as published.

    Returns
    -------
    nn.Module
        From (batch, channels, frames, bands) to (batch, classes).

    Raises
    ------
    KitError
        If the name is unknown; the message lists the valid ones.
    """
    plugins = {} if name in MODELS else {plugin.name: plugin for plugin in entry_points(group=MODEL_PLUGINS)}
    if name in plugins:
        try:
            return plugins[name].load()(classes, dropout, channels)
        except ModuleNotFoundError as error:
            raise KitError(f"model {name!r} cannot be imported ({error}). Install it again.") from error
    if name not in MODELS:
        raise KitError(f"there is no model {name!r}. Choose one of {', '.join([*MODELS, *sorted(plugins)])}.")
    return MODELS[name](classes, dropout, channels)


def _resnet(name):
    def make(classes, dropout, channels):
        network = _torchvision(name)
        network.conv1 = _with_channels(network.conv1, channels)
        network.fc = _head(network.fc.in_features, classes, dropout)
        return network

    return make


def _densenet121(classes, dropout, channels):
    network = _torchvision("densenet121")
    network.features.conv0 = _with_channels(network.features.conv0, channels)
    network.classifier = _head(network.classifier.in_features, classes, dropout)
    return network


def _cnn3(classes, dropout, channels):
    """Three convolutions and two dense layers: the usual first attempt."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d((9, 5)),  # the dense layers need one size, whatever the features have
        nn.Flatten(),
        nn.Linear(64 * 9 * 5, 128), nn.ReLU(),
        _head(128, classes, dropout),
    )


def _alexnet(classes, dropout, channels):
    """AlexNet with LeakyReLU and with batch norm behind every convolution, as a study of song identification has it.

    The convolutions are those of its second version (Krizhevsky, arXiv:1404.5997); the two dense layers have 1024
    units each, not 4096. Pools are padded, so that 40 bands are enough.
    """
    layers = []
    for ahead, maps, kernel, stride, pool in (
        (channels, 64, 11, 4, True), (64, 192, 5, 1, True), (192, 384, 3, 1, False), (384, 256, 3, 1, False),
        (256, 256, 3, 1, True),
    ):
        layers += [nn.Conv2d(ahead, maps, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(maps), _leaky()]
        layers += [nn.MaxPool2d(3, 2, padding=1)] if pool else []
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d((6, 3)), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(256 * 6 * 3, 1024), _leaky(),
        nn.Dropout(dropout), nn.Linear(1024, 1024), _leaky(),
        nn.Linear(1024, classes),
    )


def _dense(classes, dropout, channels):
    """Fully connected layers alone, on features brought to one size: the baseline of song identification."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d((64, 64)), nn.Flatten(),
        nn.Linear(channels * 64 * 64, 512), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.ReLU(),
        _head(256, classes, dropout),
    )


def _leaky():
    return nn.LeakyReLU(0.01)


def _torchvision(name):
    from torchvision import models  # imported here because it takes seconds

    return models.get_model(name, weights=None)


def _with_channels(first, channels):
    return nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)


def _head(width, classes, dropout):
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))


MODELS = {
    "resnet34": _resnet("resnet34"),
    "resnet18": _resnet("resnet18"),
    "resnet50": _resnet("resnet50"),
    "densenet121": _densenet121,
    "cnn3": _cnn3,
    "alexnet": _alexnet,
    "dense": _dense,
}
