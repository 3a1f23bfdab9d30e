"""Smaller networks: as ONNX, in 8-bit integers, pruned."""

import numpy as np
import pytest
import torch

from snippetkit import models
from snippetkit.lab.singers import compress

for package in ("onnxruntime", "onnx", "onnxscript"):
    pytest.importorskip(package, reason="ONNX: pip install -r requirements-lab.txt")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = models.build("lab.cnn4", classes=4, dropout=0.2)
    for _ in range(3):      # gives batch norm its statistics
        network.train()(torch.randn(8, 1, 100, 40))
    return network.eval()


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(40, 1, 100, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def versions(network, features, tmp_path_factory):
    return compress.make_versions(network, tmp_path_factory.mktemp("versions") / "new", features[:16], shares=(0.5,))


def test_onnx_gives_the_same_logits_for_any_number_of_clips(network, features, versions):
    with torch.inference_mode():
        expected = network(torch.from_numpy(features)).numpy()
    for name in ("as it was", "ONNX"):
        predict, _ = versions[name]
        for clips in (1, 7, 40):
            assert np.abs(predict(features[:clips]) - expected[:clips]).max() < 1e-3


def test_eight_bits_need_a_quarter_of_the_size_and_predict_alike(features, versions):
    labels = versions["as it was"][0](features[16:]).argmax(1)
    table = compress.compare_versions(versions, features[16:], labels, rounds=1).set_index("version")
    assert table.index.tolist() == ["as it was", "ONNX", "ONNX, 8 bits", "50% pruned"]
    assert table.loc["as it was", ["accuracy", "agreement"]].tolist() == [1, 1]
    assert table.loc["as it was", "difference"] == 0 < table.loc["ONNX, 8 bits", "difference"]
    assert table.loc["ONNX, 8 bits", "agreement"] > 0.8 and table["milliseconds"].gt(0).all()
    megabytes = table["megabytes"]
    assert megabytes["ONNX, 8 bits"] < 0.3 * megabytes["ONNX"] and megabytes["50% pruned"] < 0.7 * megabytes["ONNX"]


def test_pruning_removes_the_smallest_weights_of_a_copy(network):
    before = network[0][0].weight.clone()
    small = compress.prune_network(network, 0.5)
    weights, pruned = (torch.cat([
        layer.weight.flatten() for layer in version.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))
    ]) for version in (network, small))
    assert float((pruned == 0).double().mean()) == pytest.approx(0.5, abs=1e-3)
    assert weights[pruned == 0].abs().max() <= weights[pruned != 0].abs().min()
    assert torch.equal(network[0][0].weight, before)
