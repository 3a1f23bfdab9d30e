"""Spleeter's network: two U-Nets, one that estimates the vocals in a spectrogram and one that estimates the rest.

The architecture is that of Jansson et al., "Singing voice separation with deep U-Net convolutional networks" (2017), in
Spleeter's own proportions (Hennequin et al., 2020). Names and order of the weights are those of its 2-stems model. The
spectrogram is computed in `network`.
"""

import re

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..utils.errors import KitError, listed

FRAMES = 512    # of a segment: what the network was trained on
BINS = 1024     # of the spectrum, up to 11 kHz
_FILTERS = (16, 32, 64, 128, 256, 512)
_EPSILON = 1e-3     # of the batch norm, as Keras has it

# With at most this many frames in a segment, the network's receptive field does not reach the right border: column c of
# a layer depends on columns 2c - 1 to 2c + 3 of the one before, through six layers and back.
SIGHT = 318


class UNet(nn.Module):
    """Estimates the magnitude of one stem.

    A three-second clip fills 134 of the 512 frames of a segment; the rest is silence. The activations of silence are
    constant away from the borders, so every layer computes only the columns that depend on the sound and appends the
    known column of silence.
    """

    def __init__(self):
        super().__init__()
        widths = (2, *_FILTERS)
        self.down = nn.ModuleList(nn.Conv2d(few, many, 5, stride=2) for few, many in zip(widths, widths[1:]))
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(many, _EPSILON) for many in _FILTERS)
        # Every layer but the first also gets the skip connection of its size, so it has twice as many inputs.
        inputs, outputs = (_FILTERS[-1], *(2 * few for few in _FILTERS[-2::-1])), (*_FILTERS[-2::-1], 1)
        self.up = nn.ModuleList(_Doubling(many, few, 5, stride=2, padding=1) for many, few in zip(inputs, outputs))
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(few, _EPSILON) for few in outputs)
        self.last = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitude, silence=None):
        """Estimate the stem's magnitude.

        Parameters
        ----------
        magnitude : Tensor, shape (segments, 2, frames, BINS)
        silence : list of Tensor or None
            From `silent_columns`, if silence follows these frames (at most SIGHT); None if the segment ends with them
            (their number is a multiple of 64).

        Returns
        -------
        Tensor, of the same shape
        """
        frames = magnitude.shape[2]
        # The last layer depends on three further frames.
        columns = magnitude if silence is None else functional.pad(magnitude, (0, 0, 0, 3))
        widths, skips = [], []
        for depth, (convolution, norm) in enumerate(zip(self.down, self.down_norm)):
            widths.append(columns.shape[2])
            skips.append(convolution(_framed(columns, silence and silence[depth])))
            columns = functional.leaky_relu(norm(skips[-1]), 0.2)
        columns = skips.pop()   # the innermost layer has no batch norm on its way up
        for transposed, norm in zip(self.up, self.up_norm):
            grown = transposed(columns)[:, :, : widths.pop()]
            columns = norm(functional.relu(grown))
            if skips:
                columns = torch.cat([skips.pop(), columns], dim=1)
        return torch.sigmoid(self.last(columns)[:, :, :frames]) * magnitude

    def silent_columns(self):
        """The input of every layer for silence, one column each, away from the borders.

        Returns
        -------
        list of Tensor, shape (1, channels, 1, bins)
        """
        weight = self.last.weight
        columns, seen = torch.zeros(1, 2, 256, BINS, device=weight.device, dtype=weight.dtype), []
        for convolution, norm in zip(self.down, self.down_norm):
            seen.append(columns[:, :, 1:2])
            columns = functional.leaky_relu(norm(convolution(_framed(columns, None))), 0.2)
        return seen


class _Doubling(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 that gives twice as many rows and columns.

    It is computed as one convolution that gives the four values of every 2 × 2 square as channels, which are then
    interleaved. torch has faster kernels for that on a CPU, in half precision by far.
    """

    def prepare(self):
        """Reorder the kernel, once the weights are there."""
        # In a row, output 2 m + b depends on the inputs m + 1 - a with the weight 2 a + b - 1, for a = 0, 1, 2.
        padded = functional.pad(self.weight.detach(), (1, 0, 1, 0))
        kernel = padded.unflatten(3, (3, 2)).unflatten(2, (3, 2)).flip(2, 4).permute(3, 5, 1, 0, 2, 4)
        self.register_buffer("kernel", kernel.flatten(0, 2).contiguous(), persistent=False)

    def forward(self, columns):
        squares = functional.conv2d(columns, self.kernel, self.bias.repeat(4), padding=1)
        # channels last, as the convolution gives them
        squares = squares.permute(0, 2, 3, 1).unflatten(3, (2, 2, -1)).transpose(2, 3)
        return squares.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _framed(columns, silence):
    """Pad the input of a convolution: with zeros, and with the column of silence after its end if it is given.

    This is TensorFlow's "same" padding for even sizes: one before, two after.
    """
    if silence is None:
        return functional.pad(columns, (1, 2, 1, 2))
    width = columns.shape[2]
    after = 2 * (width // 2 + 1) + 2 - width    # so that all columns that depend on the sound are computed
    tail = silence.expand(len(columns), -1, after, -1)
    return functional.pad(torch.cat([columns, tail], dim=2), (1, 2, 1, 0))


class Masks(nn.Module):
    """Both U-Nets, and the mask of the vocals that they give."""

    def __init__(self):
        super().__init__()
        self.vocals = UNet()
        self.accompaniment = UNet()

    def forward(self, magnitude, silence=(None, None)):
        """The share of the vocals in the power of every bin.

        Parameters
        ----------
        magnitude : Tensor, shape (segments, 2, frames, BINS)
        silence : pair
            For the two U-Nets, as `UNet.forward` takes it.

        Returns
        -------
        Tensor, of the same shape, from 0 to 1
        """
        voice, rest = (
            net(magnitude, silent).float().square() for net, silent in zip((self.vocals, self.accompaniment), silence)
        )
        return (voice + 1e-10 / 2) / (voice + rest + 1e-10)


def build_masks(tensors):
    """Build the network with the weights of a checkpoint.

    Parameters
    ----------
    tensors : dict
        Name to ndarray, as `checkpoint.read` gives them.

    Returns
    -------
    Masks
        In evaluation mode.

    Raises
    ------
    KitError
        If a tensor is missing, unexpected, has another shape or contains NaN: these are another model's weights.
    """
    masks = Masks()
    expected = {name: tensor.shape for name, tensor in masks.state_dict().items() if "num_batches" not in name}
    names = {name: spleeter_name(name) for name in expected}
    missing = [name for name in names.values() if name not in tensors]
    # Spleeter's models of more stems contain two such nets and further ones, with other activations.
    more = [name for name in tensors if re.match("conv2d|batch_normalization", name) and name not in names.values()]
    problem = "these are not the weights of Spleeter's 2-stems model"
    if missing:
        raise KitError(f"{problem}: they lack {listed(missing)}.")
    if more:
        raise KitError(f"{problem}: {listed(more)} belong to a model of more stems.")
    state = {name: _to_torch(tensors[keras_name]) for name, keras_name in names.items()}
    odd = [
        names[name] for name, tensor in state.items()
        if tensor.shape != expected[name] or not tensor.isfinite().all()
    ]
    if odd:
        raise KitError(f"{problem}: wrong shape, NaN or infinity in {listed(odd)}.")
    masks.load_state_dict(state, strict=False)
    for net in (masks.vocals, masks.accompaniment):
        for layer in net.up:
            layer.prepare()
    return masks.eval().requires_grad_(False)


def spleeter_name(name):
    """Name of a tensor of `Masks` in Spleeter's checkpoint.

    Keras numbers its layers in the order of creation, the vocals' first, then the accompaniment's:
    ``vocals.down.3.weight`` is ``conv2d_3/kernel``, ``accompaniment.up_norm.0.running_var`` is
    ``batch_normalization_18/moving_variance``.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    stem, layer, *number, value = name.split(".")
    second = stem == "accompaniment"
    kind, index = {
        "down": ("conv2d", 7 * second),
        "last": ("conv2d", 7 * second + 6),
        "up": ("conv2d_transpose", 6 * second),
        "down_norm": ("batch_normalization", 12 * second),
        "up_norm": ("batch_normalization", 12 * second + 6),
    }[layer]
    index += int(number[0]) if number else 0
    values = {"weight": "kernel", "bias": "bias"}
    if layer.endswith("norm"):
        values = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    return f"{kind}_{index}/{values[value]}" if index else f"{kind}/{values[value]}"


def _to_torch(values):
    """Reorder Keras' axes (h, w, in, out; transposed: h, w, out, in) to torch's (out, in, h, w; in, out, h, w)."""
    reordered = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values
    return torch.from_numpy(np.array(reordered, np.float32, order="C"))
