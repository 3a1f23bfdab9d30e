"""Batches of clips on the device, and the augmentation of training batches."""

import numpy as np
import pytest
import torch

from snippetkit.augment import mixup, random_crop, spec_augment
from snippetkit.dataset import SnippetDataset
from snippetkit.features.extraction import band_statistics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_batches_contain_every_clip_once_in_the_given_order():
    features = np.arange(10 * 6, dtype=np.float32).reshape(10, 3, 2)
    dataset = SnippetDataset(features, np.arange(10) % 4)
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    batches = list(dataset.batches(4, order=order))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    np.testing.assert_array_equal(torch.cat([x for x, _ in batches])[:, 0], features[order])
    assert torch.equal(torch.cat([y for _, y in batches]), order % 4)


def test_batches_without_labels_are_features():
    dataset = SnippetDataset(np.zeros((5, 3, 2), np.float32))
    assert [batch.shape for batch in dataset.batches(3)] == [(3, 1, 3, 2), (2, 1, 3, 2)]
    assert len(dataset) == 5 and dataset[0].shape == (1, 3, 2)


def test_standardised_bands_have_mean_0_and_deviation_1():
    features = np.random.default_rng(0).normal(-60, 20, (50, 30, 8)).astype(np.float32)
    features[:, :, 3] = -300  # a constant band
    dataset = SnippetDataset(features, statistics=band_statistics(features))
    bands = dataset.features.double().transpose(0, 3).flatten(1)
    torch.testing.assert_close(bands.mean(1), torch.zeros(8, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(bands.std(1)[[0, 7]], torch.ones(2, dtype=torch.float64), atol=1e-3, rtol=0)
    assert not bands[3].any()
    channels = SnippetDataset(features, statistics=band_statistics(features), channels=2).features
    assert channels.shape == (50, 2, 30, 4)
    assert torch.equal(torch.cat([channels[:, 0], channels[:, 1]], dim=2), dataset.features[:, 0])


def test_dataset_does_not_change_the_array():
    features = np.ones((3, 4, 5), np.float32)
    dataset = SnippetDataset(features, statistics=(np.full(5, 9.0), np.full(5, 2.0)))
    assert (dataset.features == -4).all()
    assert (features == 1).all()


def test_random_crop_has_another_position_in_every_clip():
    frame = torch.arange(50.0)[:, None].expand(200, 1, 50, 40)
    features = frame + 100 * torch.arange(200.0).view(-1, 1, 1, 1)
    cropped = random_crop(features, frames=20, generator=seeded())
    assert cropped.shape == (200, 1, 20, 40)
    starts = cropped[:, 0, 0, 0] % 100
    assert set(starts.tolist()) == set(range(31))
    expected = 100 * torch.arange(200.0)[:, None] + starts[:, None] + torch.arange(20)
    assert torch.equal(cropped[:, 0], expected[:, :, None].expand(-1, -1, 40))


def test_crop_as_long_as_the_clips_changes_nothing():
    features = torch.randn(4, 1, 50, 40)
    assert random_crop(features, frames=50, generator=seeded()) is features


def test_spec_augment_masks_one_range_of_frames_and_one_of_bands():
    features = torch.randn(64, 1, 50, 40)
    changed = spec_augment(features, time_mask=20, band_mask=10, generator=seeded()) != features
    rows, columns = changed[:, 0].all(dim=2), changed[:, 0].all(dim=1)
    for masked, widest in ((rows, 20), (columns, 10)):
        widths = masked.sum(1)
        assert 0 < widths.max() <= widest and widths.min() < widest / 4
        starts = (masked[:, 1:] & ~masked[:, :-1]).sum(1) + masked[:, 0]
        assert starts.max() == 1, "one range"
    # nothing else is changed
    assert torch.equal(changed[:, 0], rows[:, :, None] | columns[:, None, :])


@pytest.mark.parametrize("widest", [0, 1, 8, 50, 99])
@pytest.mark.parametrize("axis", [2, 3])
def test_widths_and_positions_of_masks_are_uniform(axis, widest):
    clips, size = 20_000, 50
    features = torch.arange(clips * size, dtype=torch.float32).view(clips, 1, *((size, 1) if axis == 2 else (1, size)))
    masks = {"time_mask": 0, "band_mask": 0, ("time_mask", "band_mask")[axis - 2]: widest}
    masked = (spec_augment(features, **masks, generator=seeded()) != features).flatten(1)
    widths = np.bincount(masked.sum(1), minlength=size + 1)
    largest = min(widest, size)
    expected = clips / (largest + 1)
    np.testing.assert_allclose(widths[: largest + 1], expected, atol=5 * expected**0.5)
    assert not widths[largest + 1 :].any()
    if widest == 1:     # every position is as likely as any other
        np.testing.assert_allclose(masked.sum(0), clips / 2 / size, atol=5 * (clips / 2 / size) ** 0.5)


def test_spec_augment_without_masks_changes_nothing():
    features = torch.randn(4, 1, 50, 40)
    assert torch.equal(spec_augment(features, time_mask=0, band_mask=0, generator=seeded()), features)


def test_mixup_mixes_clips_and_targets_in_the_same_proportion():
    targets = torch.eye(4)
    features = targets.reshape(4, 1, 1, 4).clone()
    mixed, mixed_targets = mixup(features, targets, alpha=0.4, generator=seeded())
    torch.testing.assert_close(mixed[:, 0, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(4))
    assert not torch.equal(mixed_targets, targets)


@pytest.mark.parametrize("augment", [
    lambda features, generator: spec_augment(features, time_mask=20, band_mask=10, generator=generator),
    lambda features, generator: mixup(features, torch.eye(8), alpha=0.4, generator=generator)[0],
    lambda features, generator: random_crop(features, frames=30, generator=generator),
])
def test_augmentation_depends_on_the_generator_alone(augment):
    features = torch.randn(8, 1, 50, 40)
    assert torch.equal(augment(features, seeded(1)), augment(features, seeded(1)))
    assert not torch.equal(augment(features, seeded(1)), augment(features, seeded(2)))
