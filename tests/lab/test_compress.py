"""Smaller networks: as ONNX, in 8-bit integers, pruned."""

import numpy as np
import pytest
import torch

from snippetkit import models
from snippetkit.lab.singers import compress

onnxruntime = pytest.importorskip("onnxruntime", reason="what runs ONNX: pip install -r requirements-lab.txt")
for writer in ("onnx", "onnxscript"):
    pytest.importorskip(writer, reason="what writes ONNX: pip install -r requirements-lab.txt")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = models.build("resnet18", classes=4, dropout=0.2)
    for _ in range(3):      # so that batch norm has seen something
        network.train()(torch.randn(8, 1, 299, 40))
    return network.eval()


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(40, 1, 299, 40)).astype(np.float32)


def answers(network, features):
    with torch.inference_mode():
        return network(torch.from_numpy(features)).numpy()


def test_onnx_gives_the_same_logits_for_any_number_of_clips(network, features, tmp_path):
    compress.export(network, tmp_path / "network.onnx", frames=299, bands=40)
    exported = compress.OnnxNetwork(tmp_path / "network.onnx")
    for clips in (1, 7, 40):
        assert np.abs(exported(features[:clips]) - answers(network, features[:clips])).max() < 1e-3


def test_eight_bits_are_a_quarter_of_the_size_and_answer_alike(network, features, tmp_path):
    compress.export(network, tmp_path / "network.onnx", frames=299, bands=40)
    compress.quantise(tmp_path / "network.onnx", tmp_path / "small.onnx", features[:16])
    sizes = [(tmp_path / name).stat().st_size for name in ("network.onnx", "small.onnx")]
    assert sizes[1] < 0.3 * sizes[0] and not list(tmp_path.glob("*.prepared.onnx"))
    small = compress.OnnxNetwork(tmp_path / "small.onnx")
    ways = {"as it was": (lambda clips: answers(network, clips), sizes[0]), "8 bits": (small, sizes[1])}
    table = compress.compared(ways, features[16:], answers(network, features[16:]).argmax(1), rounds=1)
    assert table["agreement"][1] > 0.8 and table["accuracy"][0] == 1 and table["difference"][0] == 0


def test_pruning_takes_the_smallest_weights_and_leaves_the_network_alone(network):
    before = network.conv1.weight.clone()
    small = compress.pruned(network, 0.5)
    weights = torch.cat([
        layer.weight.flatten() for layer in small.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))
    ])
    assert float((weights == 0).double().mean()) == pytest.approx(0.5, abs=1e-3)
    assert torch.equal(network.conv1.weight, before)
