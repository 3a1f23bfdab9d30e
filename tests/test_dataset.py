import numpy as np
import pytest
import torch

from snippetkit.augment import equalise, mixup, overlay, shift_bands, spec_augment
from snippetkit.dataset import SnippetDataset
from snippetkit.features import band_statistics
from snippetkit.labels import TOGETHER


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_batches_hold_every_clip_once_in_the_order_asked():
    features = np.arange(10 * 6, dtype=np.float32).reshape(10, 3, 2)
    dataset = SnippetDataset(features, np.arange(10) % 4)
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    batches = list(dataset.batches(4, order=order))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    np.testing.assert_array_equal(torch.cat([x for x, _ in batches])[:, 0], features[order])
    assert torch.equal(torch.cat([y for _, y in batches]), order % 4)


def test_without_labels_batches_are_features_alone():
    dataset = SnippetDataset(np.zeros((5, 3, 2), np.float32))
    assert [batch.shape for batch in dataset.batches(3)] == [(3, 1, 3, 2), (2, 1, 3, 2)]
    assert len(dataset) == 5 and dataset[0].shape == (1, 3, 2)


def test_standardised_bands_have_mean_0_and_deviation_1():
    features = np.random.default_rng(0).normal(-60, 20, (50, 30, 8)).astype(np.float32)
    features[:, :, 3] = -300  # a band in which nothing ever happens
    dataset = SnippetDataset(features, statistics=band_statistics(features))
    bands = dataset.standardised(dataset.features).double().transpose(0, 3).flatten(1)
    torch.testing.assert_close(bands.mean(1), torch.zeros(8, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(bands.std(1)[[0, 7]], torch.ones(2, dtype=torch.float64), atol=1e-3, rtol=0)
    assert not bands[3].any()


def test_spectra_that_stand_one_behind_the_other_are_channels():
    features = np.random.default_rng(0).normal(-60, 20, (50, 30, 8)).astype(np.float32)
    statistics = band_statistics(features)
    one = SnippetDataset(features, statistics=statistics)
    two = SnippetDataset(features, statistics=statistics, channels=2)
    assert two.features.shape == (50, 2, 30, 4)
    assert torch.equal(torch.cat([two.features[:, 0], two.features[:, 1]], dim=2), one.features[:, 0])
    both = two.standardised(two.features)
    assert torch.equal(torch.cat([both[:, 0], both[:, 1]], dim=2), one.standardised(one.features)[:, 0])


def test_the_array_on_disk_is_not_changed():
    features = np.ones((3, 4, 5), np.float32)
    dataset = SnippetDataset(features, statistics=(np.full(5, 9.0), np.full(5, 2.0)))
    assert (dataset.standardised(dataset.features) == -4).all()
    assert (features == 1).all()


def test_spec_augment_blanks_one_stretch_of_frames_and_one_of_bands():
    features = torch.randn(64, 1, 50, 40)
    changed = spec_augment(features, time_mask=20, band_mask=10, generator=seeded()) != features
    rows, columns = changed[:, 0].all(dim=2), changed[:, 0].all(dim=1)
    for blank, widest in ((rows, 20), (columns, 10)):
        widths = blank.sum(1)
        assert 0 < widths.max() <= widest and widths.min() < widest / 4
        # one stretch: it starts at most once
        starts = (blank[:, 1:] & ~blank[:, :-1]).sum(1) + blank[:, 0]
        assert starts.max() == 1
    # and nothing else is touched
    assert torch.equal(changed[:, 0], rows[:, :, None] | columns[:, None, :])


def test_spec_augment_with_no_width_changes_nothing():
    features = torch.randn(4, 1, 50, 40)
    assert torch.equal(spec_augment(features, time_mask=0, band_mask=0, generator=seeded()), features)


def test_mixup_mixes_clips_and_targets_alike():
    targets = torch.eye(4)
    features = targets.reshape(4, 1, 1, 4).clone()
    mixed, mixed_targets = mixup(features, targets, alpha=0.4, generator=seeded())
    torch.testing.assert_close(mixed[:, 0, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(4))
    assert not torch.equal(mixed_targets, targets)


@pytest.mark.parametrize("seed", range(5))
def test_sounds_laid_over_one_another_add_their_energies(seed):
    features = torch.tensor([-60.0, -20.0], dtype=torch.float64)[:, None, None, None].expand(2, 1, 6, 3).clone()
    features[0, 0, 0, 0] = -30  # one loud spot
    mixed, labels = overlay(features, torch.tensor([0, 2]), torch.tensor(TOGETHER), share=1, generator=seeded(seed))
    level = 20 * torch.log10((10 ** (features / 20)).mean(dim=(1, 2, 3)))
    for row, other in ((0, 1), (1, 0)):
        difference = (10 ** (mixed[row] / 20) - 10 ** (features[row] / 20)) / 10 ** (features[other] / 20)
        gain = 20 * torch.log10(difference)     # of the other clip: the same everywhere
        torch.testing.assert_close(gain, gain[0, 0, 1].expand_as(gain), atol=0.05, rtol=0)
        assert abs(gain[0, 0, 1] - (level[row] - level[other])) <= 12.1
    assert labels.tolist() == [2, 2]


def test_nothing_is_laid_over_itself_nor_over_silence():
    features = torch.randn(32, 1, 5, 4)
    features[7] = -313
    labels = torch.arange(32) % 4
    for seed in range(20):
        mixed, mixed_labels = overlay(features, labels, torch.tensor(TOGETHER), share=1, generator=seeded(seed))
        assert torch.equal(mixed[7], features[7]) and mixed_labels[7] == labels[7]
        is_same = (mixed == features).flatten(1).all(1)
        assert is_same.sum() == 2   # the silent one, and the one that it would have been laid over
        gain = (mixed - features).flatten(1)
        assert (gain[~is_same].std(dim=1) > 0).all()    # a clip over itself would be louder everywhere alike
    alone = overlay(features[:1], labels[:1], torch.tensor(TOGETHER), share=1, generator=seeded())
    assert torch.equal(alone[0], features[:1])


def test_what_is_heard_of_two_clips_at_once():
    together = np.array(TOGETHER)
    assert np.array_equal(together, together.T) and together[0].tolist() == [0, 1, 2, 3]
    assert (together[1:, 1:] == 3).all()  # two who sing are more than one


def test_overlay_leaves_the_other_clips_alone():
    features, labels = torch.randn(400, 1, 5, 4), torch.zeros(400, dtype=torch.int64)
    mixed, _ = overlay(features, labels, torch.tensor(TOGETHER), share=0.3, generator=seeded())
    is_same = (mixed == features).flatten(1).all(1)
    assert 0.6 < is_same.double().mean() < 0.8
    silent = torch.full((4, 1, 5, 4), -313.0)   # as the published decibels have silence
    assert overlay(silent, labels[:4], torch.tensor(TOGETHER), share=1, generator=seeded())[0].isfinite().all()


def test_a_filter_is_smooth_the_same_in_every_frame_and_another_for_every_clip():
    features = torch.randn(200, 2, 7, 168)
    curve = equalise(features, deviation=8, generator=seeded()) - features
    torch.testing.assert_close(curve, curve[:, :1, :1].expand_as(curve), atol=1e-4, rtol=0)
    curve = curve[:, 0, 0]
    assert curve.diff(dim=1).abs().max() < 3 and 4 < curve.std(dim=0).mean() < 12
    assert not torch.allclose(curve[0], curve[1], atol=1)


def test_bands_are_moved_by_whole_steps_and_no_further_than_asked():
    features = torch.arange(20.0).expand(300, 2, 3, 20)
    moved = shift_bands(features, widest=2, generator=seeded())
    shifts = 10 - moved[:, 0, 0, 10]
    assert set(shifts.tolist()) == {-2, -1, 0, 1, 2}
    assert torch.equal(moved, (features - shifts[:, None, None, None]).clamp(0, 19))


def test_the_same_generator_draws_the_same():
    features, labels = torch.randn(8, 1, 50, 40), torch.zeros(8, dtype=torch.int64)
    for augment in (
        lambda g: overlay(features, labels, torch.tensor(TOGETHER), share=0.5, generator=g)[0],
        lambda g: equalise(features, deviation=4, generator=g),
        lambda g: shift_bands(features, widest=3, generator=g),
        lambda g: spec_augment(features, time_mask=20, band_mask=10, generator=g),
        lambda g: mixup(features, torch.eye(8), alpha=0.4, generator=g)[0],
    ):
        assert torch.equal(augment(seeded(1)), augment(seeded(1)))
        assert not torch.equal(augment(seeded(1)), augment(seeded(2)))
