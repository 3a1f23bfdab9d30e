"""The model factory: networks that map (batch, channels, frames, bands) of any size to one logit per class.

No network is pretrained. Initial weights come from torch's global random generator.
"""

from importlib.metadata import entry_points

from torch import nn

from .recipe import MODEL_PLUGINS, load_plugin
from .utils.errors import KitError


def build(name, *, classes, dropout, channels=1):
    """Build a network for log-mel features.

    Parameters
    ----------
    name : str
        'resnet34' (published: torchvision's with a one-channel first convolution and the head dropout → linear),
        'resnet18', 'resnet50' and 'densenet121' (adapted in the same way), 'cnn3', 'alexnet', 'dense', or a model that
        an installed package registers as an entry point of the group ``snippetkit.models``: a callable that takes
        classes, dropout and channels.
    classes : int
    dropout : float, 0 to 1
        Before the last layer; in 'alexnet' before the two hidden dense layers, in 'dense' before the last two layers.
    channels : int
        Number of spectra; 1 in the published recipe.

    Returns
    -------
    nn.Module
        From (batch, channels, frames, bands) to (batch, classes).

    Raises
    ------
    KitError
        If the name is unknown, the message lists the valid ones; as `recipe.load_plugin`.

    Examples
    --------
    >>> import torch
    >>> build("cnn3", classes=4, dropout=0.2)(torch.zeros(2, 1, 299, 40)).shape
    torch.Size([2, 4])
    """
    make = MODELS.get(name) or load_plugin(name)
    if make is None:
        names = [*MODELS, *sorted(entry_points(group=MODEL_PLUGINS).names)]
        raise KitError(f"there is no model {name!r}. Choose one of {', '.join(names)}.")
    return make(classes, dropout, channels)


def _torchvision(name, *, first, last):
    """A maker of a torchvision network with another first convolution and another last layer."""
    def make(classes, dropout, channels):
        from torchvision import models  # imported here because it takes seconds

        network = models.get_model(name, weights=None)
        old = network.get_submodule(first)
        new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=False)
        network.set_submodule(first, new)
        network.set_submodule(last, _head(network.get_submodule(last).in_features, classes, dropout))
        return network

    return make


def _cnn3(classes, dropout, channels):
    """A small baseline with three convolutions and two dense layers."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d((9, 5)),   # the dense layers need a fixed size
        nn.Flatten(),
        nn.Linear(64 * 9 * 5, 128), nn.ReLU(),
        _head(128, classes, dropout),
    )


def _alexnet(classes, dropout, channels):
    """AlexNet with LeakyReLU and with batch norm after every convolution, as in a study of song identification.

    The convolutions are those of the second version (Krizhevsky, arXiv:1404.5997). The two hidden dense layers have
    1024 units instead of 4096. Padding in the pooling layers makes 40 bands sufficient.
    """
    def convolution(inputs, outputs, kernel, stride=1):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return layer, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01)

    return nn.Sequential(
        *convolution(channels, 64, 11, stride=4), nn.MaxPool2d(3, 2, padding=1),
        *convolution(64, 192, 5), nn.MaxPool2d(3, 2, padding=1),
        *convolution(192, 384, 3), *convolution(384, 256, 3), *convolution(256, 256, 3),
        nn.MaxPool2d(3, 2, padding=1), nn.AdaptiveAvgPool2d((6, 3)), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(256 * 6 * 3, 1024), nn.LeakyReLU(0.01),
        nn.Dropout(dropout), nn.Linear(1024, 1024), nn.LeakyReLU(0.01),
        nn.Linear(1024, classes),
    )


def _dense(classes, dropout, channels):
    """Fully connected layers on features pooled to a fixed size: the baseline of song identification."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d((64, 64)), nn.Flatten(),
        nn.Linear(channels * 64 * 64, 512), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.ReLU(),
        _head(256, classes, dropout),
    )


def _head(width, classes, dropout):
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))


MODELS = {
    **{name: _torchvision(name, first="conv1", last="fc") for name in ("resnet34", "resnet18", "resnet50")},
    "densenet121": _torchvision("densenet121", first="features.conv0", last="classifier"),
    "cnn3": _cnn3,
    "alexnet": _alexnet,
    "dense": _dense,
}
