"""A network made smaller: pruned, in 8-bit integers, as ONNX; with what that costs in accuracy and gains in time."""

import copy
import io
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import prune

from ...utils.storage import replacing

_BATCH = 32


def export(network, path, *, frames, bands, channels=1):
    """Write a network as ONNX, for any number of clips.

    Parameters
    ----------
    network : nn.Module
        On the CPU.
    path : path-like
    frames, bands, channels : int
        Of an example.
    """
    example = torch.zeros(2, channels, frames, bands)
    network = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format).eval()
    with replacing(path) as temporary, torch.no_grad():
        torch.onnx.export(
            network, (example,), temporary, input_names=["features"], output_names=["logits"], dynamo=True,
            dynamic_shapes=({0: "clips"},), external_data=False, verbose=False,
        )


def quantise(path, target, features):
    """Write an ONNX network with 8-bit weights and activations, whose ranges come from some clips.

    Parameters
    ----------
    path, target : path-like
    features : ndarray, shape (clips, channels, frames, bands), float32
        Clips to measure the activations on; not those that it is judged by.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Clips(CalibrationDataReader):
        def __init__(self):
            self._batches = iter(np.array_split(features, max(1, len(features) // _BATCH)))

        def get_next(self):
            batch = next(self._batches, None)
            return None if batch is None else {"features": batch.astype(np.float32)}

    prepared = Path(path).with_suffix(".prepared.onnx")
    try:
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        with replacing(target) as temporary:
            quantize_static(
                str(prepared), str(temporary), Clips(), quant_format=QuantFormat.QDQ, per_channel=True,
                weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
            )
    finally:
        prepared.unlink(missing_ok=True)


class OnnxNetwork:
    """An ONNX file that answers as a network does.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, features):
        """Logits of clips: ndarray (clips, channels, frames, bands), float32, to (clips, classes)."""
        parts = [features[start : start + _BATCH] for start in range(0, len(features), _BATCH)]
        return np.concatenate([self._session.run(None, {"features": part})[0] for part in parts])


def pruned(network, share):
    """A copy without the smallest weights of all convolutions and dense layers together.

    Parameters
    ----------
    network : nn.Module
    share : float, 0 to 1
        Of the weights, which become 0.

    Returns
    -------
    nn.Module
    """
    network = copy.deepcopy(network)
    layers = [(layer, "weight") for layer in network.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=share)
    for layer, name in layers:
        prune.remove(layer, name)
    return network


def ways(network, folder, features, *, shares=(0.5, 0.8, 0.9)):
    """A network as it is, and all that this module makes of it.

    Parameters
    ----------
    network : nn.Module
    folder : path-like
        Gets ``network.onnx`` and ``network_int8.onnx``.
    features : ndarray, shape (clips, channels, frames, bands), float32
        As in `quantise`.
    shares : sequence of float
        To prune.

    Returns
    -------
    dict
        For `compared`. Pruned networks count with their bytes after compression, as zeros take no room only then.
    """
    network = copy.deepcopy(network).float().cpu().to(memory_format=torch.contiguous_format).eval()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain, small = folder / "network.onnx", folder / "network_int8.onnx"
    export(network, plain, frames=features.shape[2], bands=features.shape[3], channels=features.shape[1])
    quantise(plain, small, features)
    found = {
        "as it was": (_answering(network), len(_written(network))),
        "ONNX": (OnnxNetwork(plain), plain.stat().st_size),
        "ONNX, 8 bits": (OnnxNetwork(small), small.stat().st_size),
    }
    for share in shares:
        smaller = pruned(network, share)
        found[f"{share:.0%} pruned"] = _answering(smaller), len(zlib.compress(_written(smaller)))
    return found


def _answering(network):
    @torch.inference_mode()
    def answer(features):
        parts = [features[start : start + _BATCH] for start in range(0, len(features), _BATCH)]
        return np.concatenate([network(torch.from_numpy(part)).numpy() for part in parts])

    return answer


def _written(network):
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    return content.getvalue()


def compared(ways, features, labels, *, rounds=3):
    """What networks answer, and how long they take.

    Parameters
    ----------
    ways : dict
        Name to a callable, features to logits, and the bytes that it takes on the disk.
    features : ndarray, shape (clips, channels, frames, bands), float32
    labels : ndarray, shape (clips,)
    rounds : int
        Of which the median counts.

    Returns
    -------
    DataFrame
        ``way``, ``megabytes``, ``milliseconds`` a clip, ``accuracy``, ``agreement`` with the first way's answers, and
        ``difference``, the largest of a logit from the first way's.
    """
    found, seconds = {}, {name: [] for name in ways}
    for _ in range(rounds):
        for name, (answer, _) in ways.items():
            start = time.perf_counter()
            found[name] = answer(features)
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(found.values()))
    return pd.DataFrame([
        {
            "way": name, "megabytes": size / 1e6, "milliseconds": 1000 * np.median(seconds[name]) / len(features),
            "accuracy": np.mean(found[name].argmax(1) == labels),
            "agreement": np.mean(found[name].argmax(1) == first.argmax(1)),
            "difference": np.abs(found[name] - first).max(),
        }
        for name, (_, size) in ways.items()
    ])
