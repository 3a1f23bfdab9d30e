"""Smaller versions of a network: as ONNX, with 8-bit integers, pruned; their size, speed and accuracy."""

import copy
import io
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils import prune

from ...utils.storage import replacing

_BATCH = 32


class Standardised(nn.Module):
    """A network behind the standardisation of its input, so that the two are one file.

    Parameters
    ----------
    network : nn.Module
    statistics : tuple of ndarray, shape (channels * bands,), or None
        Mean and standard deviation, as in `SnippetDataset`.
    channels : int
    """

    def __init__(self, network, statistics, channels):
        super().__init__()
        self.network = network
        for name, values in zip(("mean", "deviation"), statistics or (np.zeros(channels), np.ones(channels))):
            values = torch.as_tensor(values, dtype=torch.float32)
            self.register_buffer(name, values.unflatten(0, (channels, 1, -1)))      # (channels, frames, bands)

    def forward(self, features):
        return self.network((features - self.mean) / self.deviation)


def export_onnx(network, path, shape):
    """Write a network as ONNX, for any number of clips.

    Parameters
    ----------
    network : nn.Module
        On the CPU, in single precision and in evaluation mode.
    path : path-like
    shape : tuple of int
        Channels, frames and bands of a clip.
    """
    with replacing(path) as temporary, torch.no_grad():
        torch.onnx.export(
            network, (torch.zeros(2, *shape),), temporary, input_names=["features"], output_names=["logits"],
            dynamic_shapes=({0: "clips"},), dynamo=True, external_data=False, verbose=False,
        )


def quantise_onnx(path, target, features):
    """Write a version of an ONNX network with 8-bit weights and activations.

    Parameters
    ----------
    path, target : path-like
    features : ndarray, shape (clips, channels, frames, bands), float32
        Clips for measuring the ranges of the activations; not those of the evaluation.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = iter([{"features": batch} for batch in np.array_split(features, max(1, len(features) // _BATCH))])

    class Clips(CalibrationDataReader):
        def get_next(self):
            return next(batches, None)

    with TemporaryDirectory() as folder, replacing(target) as temporary:
        prepared = f"{folder}/prepared.onnx"
        quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, str(temporary), Clips(), quant_format=QuantFormat.QDQ, per_channel=True,
            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
        )


def open_onnx(path):
    """Load an ONNX network: a function from features, ndarray (clips, channels, frames, bands), float32, to logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _in_batches(lambda features: session.run(None, {"features": features})[0])


def _in_batches(predict):
    def predict_all(features):
        return np.concatenate([predict(features[start : start + _BATCH]) for start in range(0, len(features), _BATCH)])

    return predict_all


def prune_network(network, share):
    """Copy a network and set the smallest weights of its convolutions and dense layers, taken together, to 0.

    Parameters
    ----------
    network : nn.Module
    share : float, 0 to 1
        Of the weights.

    Returns
    -------
    nn.Module

    Examples
    --------
    >>> (prune_network(torch.nn.Linear(10, 10), 0.7).weight == 0).sum().item()
    70
    """
    network = copy.deepcopy(network)
    layers = [(layer, "weight") for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=share)
    for layer, name in layers:
        prune.remove(layer, name)
    return network


def make_versions(network, folder, features, *, shares=(0.5, 0.8, 0.9)):
    """Make all smaller versions of a network.

    Parameters
    ----------
    network : nn.Module
    folder : path-like
        Gets ``network.onnx`` and ``network_int8.onnx``.
    features : ndarray, shape (clips, channels, frames, bands), float32
        As in `quantise_onnx`.
    shares : sequence of float
        As in `prune_network`.

    Returns
    -------
    dict
        Name to a function from features to logits and its size in bytes, for `compare_versions`. The size of a pruned
        network is that after compression, since zeros take no less room than other numbers.
    """
    network = copy.deepcopy(network).float().cpu().to(memory_format=torch.contiguous_format).eval()
    folder = Path(folder)
    plain, small = folder / "network.onnx", folder / "network_int8.onnx"
    export_onnx(network, plain, features.shape[1:])
    quantise_onnx(plain, small, features)
    versions = {
        "as it was": (_torch_predictor(network), len(_serialise(network))),
        "ONNX": (open_onnx(plain), plain.stat().st_size),
        "ONNX, 8 bits": (open_onnx(small), small.stat().st_size),
    }
    for share in shares:
        pruned = prune_network(network, share)
        versions[f"{share:.0%} pruned"] = _torch_predictor(pruned), len(zlib.compress(_serialise(pruned)))
    return versions


def _torch_predictor(network):
    @torch.inference_mode()
    def predict(features):
        return network(torch.from_numpy(features)).numpy()

    return _in_batches(predict)


def _serialise(network):
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    return content.getvalue()


def compare_versions(versions, features, labels, *, rounds=3):
    """Predict clips with every version of a network, and measure the time.

    Parameters
    ----------
    versions : dict
        Name to a function from features to logits and its size in bytes.
    features : ndarray, shape (clips, channels, frames, bands), float32
    labels : ndarray, shape (clips,)
    rounds : int
        Measurements, of which the median is reported.

    Returns
    -------
    DataFrame
        ``version``, ``megabytes``, ``milliseconds`` per clip, ``accuracy``, ``agreement`` (share of clips that are
        predicted as by the first version) and ``difference`` (largest of a logit from the first version's).
    """
    logits, seconds = {}, {name: [] for name in versions}
    for _ in range(rounds):
        for name, (predict, _) in versions.items():
            start = time.perf_counter()
            logits[name] = predict(features)
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(logits.values()))
    return pd.DataFrame([
        {
            "version": name, "megabytes": size / 1e6, "milliseconds": 1000 * np.median(seconds[name]) / len(features),
            "accuracy": np.mean(logits[name].argmax(1) == labels),
            "agreement": np.mean(logits[name].argmax(1) == first.argmax(1)),
            "difference": np.abs(logits[name] - first).max(),
        }
        for name, (_, size) in versions.items()
    ])
