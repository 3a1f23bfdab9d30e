"""Networks of photographs on spectrograms: shapes, weights, and the classifiers behind them."""

import numpy as np
import pytest
import torch

from snippetkit.lab.cache import Comparison
from snippetkit.lab.genres import transfer
from snippetkit.lab.genres.splits import make_training_data
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def clips():
    """Two kinds of pictures: stripes along time, and stripes along frequency."""
    labels = np.arange(24) % 2
    pictures = np.random.default_rng(0).integers(0, 60, (24, 40, 32)).astype(np.uint8)
    pictures[labels == 0, ::4] += 180
    pictures[labels == 1, :, ::4] += 180
    return pictures, labels


def test_weights_are_read_from_a_folder_and_random_ones_leave_the_generator_alone(clips, cpu, tmp_path):
    state = torch.get_rng_state()
    network = transfer.pretrained_network("resnet50", weights="random")
    assert torch.equal(torch.get_rng_state(), state)
    torch.save(network.state_dict(), tmp_path / "resnet50-0676ba61.pth")
    random, read = (transfer.layer_outputs(clips[0][:2], "resnet50", weights=weights, device=cpu)
                    for weights in ("random", tmp_path))
    assert all(np.array_equal(read[name], random[name]) for name in transfer.LAYERS["resnet50"])


def test_outputs_of_all_layers_are_computed_once(clips, cpu, tmp_path, monkeypatch):
    outputs = transfer.cached_layer_outputs(tmp_path, clips[0][:3], weights="random", device=cpu)
    assert {name: values.shape for name, values in outputs.items()} == {
        "VGG16 fc1, untrained": (3, 4096), "VGG16 fc2, untrained": (3, 4096),
        "VGG16 block5_pool, untrained": (3, 512), "ResNet50 avgpool, untrained": (3, 2048),
        "ResNet50 last stage, first ReLU, untrained": (3, 512),
    }
    assert all(np.isfinite(values).all() and values.min() >= 0 for values in outputs.values())     # all follow a ReLU
    monkeypatch.setattr(transfer, "pretrained_network", None)
    again = transfer.cached_layer_outputs(tmp_path, clips[0][:3], weights="random", device=cpu)
    assert all(np.array_equal(again[name], outputs[name]) for name in outputs)
    transfer.require_weights(tmp_path, tmp_path)    # cached outputs need no weights


def test_missing_weights_are_refused_before_anything_is_computed(cpu, tmp_path):
    message = r"^the ImageNet weights of vgg16 are not in .* Put .*\.pth from https://.* or leave these networks out .*"
    with pytest.raises(KitError, match=message):
        transfer.require_weights(tmp_path, tmp_path)
    for weights in ("random", "none"):
        transfer.require_weights(tmp_path, weights)
    assert transfer.cached_layer_outputs(tmp_path, np.zeros((1, 2, 2)), weights="none", device=cpu) == {}


@pytest.mark.parametrize("write", [
    lambda path: path.write_bytes(b"no weights"), lambda path: torch.save({"weight": torch.zeros(2)}, path),
])
def test_damaged_weights_are_named(tmp_path, write):
    write(tmp_path / "resnet50-0676ba61.pth")
    with pytest.raises(KitError, match=r"^resnet50-.*\.pth in .* is damaged or belongs to another network. .*\.pth\.$"):
        transfer.pretrained_network("resnet50", weights=tmp_path)


def test_a_failed_download_is_one_message(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(KitError, match=r"cache and could not be downloaded \(no network\). Put vgg16"):
        transfer.pretrained_network("vgg16")


def test_pictures_are_scaled_clip_by_clip_with_low_bands_at_the_bottom():
    features = torch.zeros(2, 30, 20)
    features[0, :, :5] = 1              # the lowest bands
    features[1, :, :5] = 1000
    pictures = transfer.imagenet_inputs(features)
    assert pictures.shape == (2, 3, 224, 224) and torch.allclose(pictures[0], pictures[1])
    assert pictures[0, 0, -1].mean() > 2 and pictures[0, 0, 0].mean() < -2


@pytest.mark.parametrize("name", transfer.GRIDS)
def test_classifiers_learn_from_components(name, clips, tmp_path):
    pictures, labels = clips
    numbers = np.repeat(pictures.reshape(24, -1).astype(np.float32), 4, axis=0)
    numbers += np.random.default_rng(1).normal(0, 5, numbers.shape).astype(np.float32)
    labels, groups = np.repeat(labels, 4), np.repeat(np.arange(24), 4)
    data = make_training_data(numbers[:, None], labels, groups, classes=2, count=3)
    comparison = Comparison(tmp_path, data, Recipe.published().with_values(split="songs", folds=3))
    (method,) = [method for method in transfer.layer_methods("pixels", shares=[0.9], cv=3) if name in method.name]
    (row,) = comparison.rows([method], numbers, folds=1)
    assert row["accuracy"] > 0.9 and row["parameters"] > 100, row


def test_a_grid_search_takes_the_best_and_components_keep_their_share_of_the_variance():
    labels = np.arange(120) % 2
    inputs = np.random.default_rng(0).normal(size=(120, 30))
    inputs[:, 0] += 6 * labels
    fitted = transfer.layer_methods("numbers", shares=[0.9], cv=3)[0].make(0).fit(inputs, labels)
    components = fitted.named_steps["pca"]
    assert components.explained_variance_ratio_.sum() >= 0.9 > components.explained_variance_ratio_[:-1].sum()
    best = fitted.named_steps["bestofgrid"].fitted_.calibrated_classifiers_[0].estimator
    assert best.C in transfer.GRIDS["SVM, linear"][1]["C"]
