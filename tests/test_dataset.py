"""Batches of clips on the device, and the augmentation of training batches."""

from functools import partial

import numpy as np
import pytest
import torch

from snippetkit.augment import mixup, random_crop, spec_augment
from snippetkit.dataset import SnippetDataset, StoredDataset
from snippetkit.features.extraction import band_statistics
from snippetkit.training.data import SideBySide


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


def test_standardised_bands_have_mean_0_and_deviation_1_in_a_copy():
    features = np.random.default_rng(0).normal(-60, 20, (50, 30, 8)).astype(np.float32)
    features[:, :, 3] = -300  # a constant band
    original, statistics = features.copy(), band_statistics(features)
    standardised = SnippetDataset(features, statistics=statistics).features[:, 0]
    deviation, mean = torch.std_mean(standardised.double(), dim=(0, 1))
    np.testing.assert_allclose(mean, 0, atol=1e-5)
    np.testing.assert_allclose(deviation, np.arange(8) != 3, atol=1e-3)
    assert not standardised[:, :, 3].any() and np.array_equal(features, original)
    channels = SnippetDataset(features, statistics=statistics, channels=2).features
    assert torch.equal(channels, torch.stack([standardised[:, :, :4], standardised[:, :, 4:]], dim=1))


def test_random_crop_has_another_position_in_every_clip():
    features = torch.arange(200 * 50.0).view(200, 1, 50, 1).expand(-1, -1, -1, 40)     # 50 · clip + frame
    cropped = random_crop(features, frames=20, generator=seeded())
    starts = cropped[:, :, :1, :1]
    assert set((starts.flatten() - 50 * torch.arange(200)).tolist()) == set(range(31))
    assert torch.equal(cropped, (starts + torch.arange(20)[:, None]).expand(200, 1, 20, 40))


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
@pytest.mark.parametrize("axis", ["time_mask", "band_mask"])
def test_widths_and_positions_of_masks_are_uniform(axis, widest):
    clips, size, largest = 20_000, 50, min(widest, 50)
    features = torch.arange(1.0 * clips * size).view(clips, 1, *((size, 1) if axis == "time_mask" else (1, size)))
    masked = (spec_augment(features, **{"time_mask": 0, "band_mask": 0, axis: widest}, generator=seeded()) != features)
    masked = masked.flatten(1)
    widths = np.bincount(masked.sum(1), minlength=size + 1)
    expected = clips / (largest + 1)
    np.testing.assert_allclose(widths[: largest + 1], expected, atol=5 * expected**0.5)
    assert not widths[largest + 1 :].any()
    if widest == 1:     # every position is as likely as any other
        np.testing.assert_allclose(masked.sum(0), clips / 2 / size, atol=5 * (clips / 2 / size) ** 0.5)


@pytest.mark.parametrize("augment", [partial(random_crop, frames=50), partial(spec_augment, time_mask=0, band_mask=0)])
def test_augmentation_that_is_turned_off_changes_nothing(augment):
    features = torch.randn(4, 1, 50, 40)
    assert torch.equal(augment(features, generator=seeded()), features)


def test_mixup_mixes_clips_and_targets_in_the_same_proportion():
    targets = torch.eye(4)
    features = targets.reshape(4, 1, 1, 4).clone()
    mixed, mixed_targets = mixup(features, targets, alpha=0.4, generator=seeded())
    torch.testing.assert_close(mixed[:, 0, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(4))
    assert not torch.equal(mixed_targets, targets)


@pytest.mark.parametrize("augment", [
    partial(spec_augment, time_mask=20, band_mask=10), partial(random_crop, frames=30),
    lambda features, generator: mixup(features, torch.eye(8), alpha=0.4, generator=generator)[0],
])
def test_augmentation_depends_on_the_generator_alone(augment):
    features = torch.randn(8, 1, 50, 40)
    first, again, other = (augment(features, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_stored_clips_are_read_batch_by_batch_and_are_the_same(tmp_path):
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=(20, 6, bands)).astype("<f2") for bands in (4, 2)]
    for name, array in zip("ab", arrays):
        np.save(tmp_path / f"{name}.npy", array)
    stored = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab"]
    rows, others = np.array([3, 19, 0, 7]), np.array([5, 1])
    both = SideBySide([(stored, rows)]).above(SideBySide([(stored, others)]))
    whole = np.concatenate(arrays, axis=-1)[[*rows, *others]]
    labels = np.arange(6) % 2
    options = {"channels": 2, "statistics": band_statistics(both)}
    assert np.array_equal(options["statistics"][0], band_statistics(whole)[0])
    lazy, eager = StoredDataset(both, labels, **options), SnippetDataset(whole, labels, **options)
    order = torch.tensor([5, 0, 3, 4, 1, 2])
    for (one, its), (other, theirs) in zip(lazy.batches(4, order=order), eager.batches(4, order=order), strict=True):
        assert torch.equal(one, other) and torch.equal(its, theirs)
    assert torch.equal(lazy.features, eager.features) and len(lazy) == 6
    held = [value for value in vars(lazy).values() if isinstance(value, torch.Tensor)]
    assert sum(tensor.numel() for tensor in held) == len(labels), "only the labels are in memory"
