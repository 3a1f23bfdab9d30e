"""The factory of networks: each takes channels of any height and width and gives one logit a class.

No network has weights from elsewhere; all start from torch's global random generator.
"""

from torch import nn

from .errors import KitError


def build(name, *, classes, dropout, channels=1):
    """Make a network for log-mel features.

    Parameters
    ----------
    name : str
        'resnet34' (the published one: torchvision's, first convolution with one channel, head dropout → linear),
        'resnet18', 'resnet50', 'densenet121' (changed likewise) or 'cnn3'.
    classes : int
    dropout : float, 0 to 1
        Before the last layer.
    channels : int
        1, as published, unless there are several spectra.

    Returns
    -------
    nn.Module
        (batch, channels, frames, bands) to (batch, classes); 299 × 40 is what the published features give.

    Raises
    ------
    KitError
        If there is no such network; the text lists those there are.
    """
    if name not in _BUILDERS:
        raise KitError(f"there is no model {name!r}; choose one of {', '.join(_BUILDERS)}.")
    return _BUILDERS[name](classes, dropout, channels)


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
    """Three convolutions and two dense layers, as the first attempt of most who meet the task."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d((9, 5)),  # the dense layers need one size, whatever the features have
        nn.Flatten(),
        nn.Linear(64 * 9 * 5, 128), nn.ReLU(),
        _head(128, classes, dropout),
    )


def _torchvision(name):
    from torchvision import models  # seconds, for which a run that has nothing left to train need not wait

    return models.get_model(name, weights=None)


def _with_channels(first, channels):
    return nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)


def _head(width, classes, dropout):
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))


_BUILDERS = {
    "resnet34": _resnet("resnet34"),
    "resnet18": _resnet("resnet18"),
    "resnet50": _resnet("resnet50"),
    "densenet121": _densenet121,
    "cnn3": _cnn3,
}

NAMES = tuple(_BUILDERS)
