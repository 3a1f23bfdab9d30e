"""Networks of photographs that look at spectrograms: shapes, where weights come from, what is learned behind them."""

import numpy as np
import pytest
import torch

from snippetkit.lab import methods
from snippetkit.lab.board import Board
from snippetkit.lab.genres import transfer
from snippetkit.lab.genres.recordings import training_data
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def clips():
    """Two kinds of pictures: stripes along time, and stripes along frequency."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    found = rng.integers(0, 60, (24, 40, 32)).astype(np.uint8)
    found[labels == 0, ::4] += 180
    found[labels == 1, :, ::4] += 180
    return found, labels


def test_all_layers_are_heard_once_and_kept(clips, cpu, tmp_path):
    heard = transfer.all_heard(tmp_path, clips[0][:3], weights="random", device=cpu)
    assert {name: each.shape for name, each in heard.items()} == {
        "VGG16 fc1, untrained": (3, 4096), "VGG16 fc2, untrained": (3, 4096),
        "VGG16 block5_pool, untrained": (3, 512), "ResNet50 avgpool, untrained": (3, 2048),
        "ResNet50 last stage, first ReLU, untrained": (3, 512),
    }
    assert len(list(tmp_path.glob("*.npy"))) == 5 and all(np.isfinite(each).all() for each in heard.values())
    assert all(each.min() >= 0 for each in heard.values())      # all five lie behind a ReLU


def test_an_untrained_network_is_the_same_each_time_and_draws_from_nobody(clips, cpu):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two = (transfer.heard(clips[0][:2], "resnet50", weights="random", device=cpu) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert torch.equal(torch.rand(3), expected)


def test_weights_come_from_a_folder(clips, cpu, tmp_path):
    network = transfer.network("resnet50", weights="random")
    torch.save(network.state_dict(), tmp_path / "resnet50-0676ba61.pth")
    given = transfer.heard(clips[0][:2], "resnet50", weights=tmp_path, device=cpu)
    random = transfer.heard(clips[0][:2], "resnet50", weights="random", device=cpu)
    assert all(np.array_equal(given[name], random[name]) for name in given)


def test_weights_that_are_missing_or_damaged_are_one_sentence(tmp_path):
    with pytest.raises(KitError, match=r"^ImageNet's weights for resnet50 are not in .*; put .*\.pth from https://.*\.$"):
        transfer.network("resnet50", weights=tmp_path)
    file = tmp_path / "resnet50-0676ba61.pth"
    file.write_bytes(b"no weights")
    with pytest.raises(KitError, match=r"^resnet50-.*\.pth in .* is damaged or holds another network; .*\.pth\.$"):
        transfer.network("resnet50", weights=tmp_path)
    torch.save({"weight": torch.zeros(2)}, file)
    with pytest.raises(KitError, match="is damaged or holds another network"):
        transfer.network("resnet50", weights=tmp_path)


def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(KitError, match=r"cache, and they could not be downloaded \(no network\); put vgg16"):
        transfer.network("vgg16")


def test_weights_are_refused_before_anything_is_computed_or_left_out(clips, cpu, tmp_path):
    with pytest.raises(KitError, match="weights for vgg16 are not in .*, or leave these networks out"):
        transfer.require_weights(tmp_path, tmp_path)
    for weights in ("random", "none"):
        transfer.require_weights(tmp_path, weights)
    assert transfer.all_heard(tmp_path, clips[0][:3], weights="none", device=cpu) == {}
    assert methods.sorted_table([]).empty
    transfer.all_heard(tmp_path, clips[0][:3], weights="random", device=cpu)
    transfer.require_weights(tmp_path, tmp_path)      # what was heard needs no weights


def test_pictures_are_scaled_clip_by_clip_with_low_bands_below():
    features = torch.zeros(2, 30, 20)
    features[0, :, :5] = 1              # the lowest bands
    features[1, :, :5] = 1000
    found = transfer.pictures(features)
    assert found.shape == (2, 3, 224, 224) and torch.allclose(found[0], found[1])
    assert found[0, 0, -1].mean() > 2 and found[0, 0, 0].mean() < -2


@pytest.mark.parametrize("name", transfer.GRIDS)
def test_what_follows_components_learns(name, clips, tmp_path):
    found, labels = clips
    numbers = np.repeat(found.reshape(24, -1).astype(np.float32), 4, axis=0)
    numbers += np.random.default_rng(1).normal(0, 5, numbers.shape).astype(np.float32)
    labels, groups = np.repeat(labels, 4), np.repeat(np.arange(24), 4)
    data = training_data(numbers[:, None], labels, groups, classes=2, count=3)
    board = Board(tmp_path, data, Recipe.published().with_values(split="songs", folds=3))
    (method,) = [each for each in transfer.on_layer("pixels", shares=[0.9], cv=3) if name in each.name]
    (row,) = board.rows([method], numbers)
    assert row["accuracy"] > 0.9 and row["parameters"] > 100, methods.sorted_table([row])


def test_a_grid_takes_what_is_best_and_keeps_the_share_of_the_variance():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    inputs = rng.normal(size=(120, 30))
    inputs[:, 0] += 6 * labels
    fitted = transfer.on_layer("numbers", shares=[0.9], cv=3)[0].make(0).fit(inputs, labels)
    components = fitted.named_steps["pca"]
    assert components.explained_variance_ratio_.sum() >= 0.9 > components.explained_variance_ratio_[:-1].sum()
    best = fitted.named_steps["bestofgrid"].fitted_.calibrated_classifiers_[0].estimator
    assert best.C in transfer.GRIDS["SVM, linear"][1]["C"]
