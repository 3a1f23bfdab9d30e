"""The weights of a finished member, which are all that prediction needs, in a file that runs no code: safetensors."""

import functools
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..utils.errors import KitError, report_os_error
from ..utils.storage import replacing
from .checkpoint import new_network

WEIGHTS = "weights.safetensors"     # in the folder of a member
_STATISTICS = ("input.mean", "input.deviation")     # names beside those of the weights
_ADVICE = ("Run the training again, which makes it from last.pt. If there is no last.pt, delete done.json beside it "
           "first: the member is then trained from the start.")


def save_weights(network, folder, statistics=None):
    """Write the weights of a network with their checksum, as ``weights.safetensors`` in the folder of its member.

    Parameters
    ----------
    network : nn.Module
    folder : path-like
    statistics : tuple of ndarray, or None
        Mean and standard deviation that standardise its input: kept beside the weights, because new sound needs them.
    """
    # copies, because weights on a GPU have another order in memory, and layers may share them
    tensors = network.state_dict().items()
    weights = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors}
    for name, values in zip(_STATISTICS, statistics or ()):
        weights[name] = torch.tensor(values, dtype=torch.float32)
    content = save(weights, {"crc32": _checksum(weights)})
    with replacing(Path(folder) / WEIGHTS) as temporary:
        temporary.write_bytes(content)


def load_network(folder, recipe, *, classes, device):
    """Load the network of a finished member for prediction, on any device.

    Parameters
    ----------
    folder : path-like
        Of the member.
    recipe : Recipe
        Of the member.
    classes : int
    device : Device

    Returns
    -------
    nn.Module

    Raises
    ------
    KitError
        If its weights are missing, damaged or those of another network.
    """
    path, network = Path(folder) / WEIGHTS, new_network(recipe, classes)
    try:
        # opened here, too, because safetensors raises errors of its own kinds
        with report_os_error(f"{path} cannot be read", _ADVICE), open(path, "rb"), safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            checksum = (file.metadata() or {}).get("crc32")
        if checksum != _checksum(weights):
            raise ValueError("it does not match its checksum")
        network.load_state_dict({name: tensor for name, tensor in weights.items() if name not in _STATISTICS})
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise KitError(f"{path} is damaged or of another network ({reason}). Delete it. {_ADVICE}") from error
    return network.eval().to(device.name, memory_format=device.memory_format)


def read_statistics(folder):
    """The statistics that `save_weights` kept: a tuple of two ndarrays, or None.

    Call it after `load_network`, which checks the file.
    """
    with safe_open(Path(folder) / WEIGHTS, "np") as file:
        return tuple(map(file.get_tensor, _STATISTICS)) if set(_STATISTICS) <= set(file.keys()) else None


def _checksum(weights):
    # safetensors has none: a flipped bit would pass for a weight
    return str(functools.reduce(lambda crc, name: zlib.crc32(weights[name].numpy(), crc), sorted(weights), 0))
