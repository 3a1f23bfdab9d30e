"""Augmentation of training batches: random crops, SpecAugment and mixup.

All random numbers come from the caller's generator, so that a resumed run continues with the same numbers.
"""

import numpy as np
import torch


def random_crop(features, *, frames, generator):
    """Cut the same number of frames out of every clip, from a random position in each.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, all frames, bands)
    frames : int
        If the clips have no more frames than this, they are returned unchanged.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)

    Examples
    --------
    >>> random_crop(torch.zeros(8, 1, 299, 40), frames=200, generator=torch.Generator()).shape
    torch.Size([8, 1, 200, 40])
    """
    batch, _, all_frames, _ = features.shape
    if all_frames <= frames:
        return features
    starts = torch.randint(all_frames - frames + 1, (batch,), generator=generator)
    return torch.stack([clip[:, start : start + frames] for clip, start in zip(features, starts.tolist())])


def spec_augment(features, *, time_mask, band_mask, generator):
    """Replace one range of frames and one range of bands in every clip by the clip's mean.

    Park et al., "SpecAugment" (Interspeech 2019). Widths are whole numbers, uniform from 0 to the maximum;
    positions are uniform.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands)
    time_mask, band_mask : int
        Maximum width of the range in frames and in bands; 0 turns the mask off.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)

    Examples
    --------
    >>> features, generator = torch.arange(12.0).view(1, 1, 4, 3), torch.Generator().manual_seed(2)
    >>> spec_augment(features, time_mask=4, band_mask=0, generator=generator)[0, 0]
    tensor([[ 5.5000,  5.5000,  5.5000],
            [ 5.5000,  5.5000,  5.5000],
            [ 5.5000,  5.5000,  5.5000],
            [ 9.0000, 10.0000, 11.0000]])
    """
    clips, _, frames, bands = features.shape
    rows = _random_ranges(clips, frames, widest=time_mask, generator=generator)[:, None, :, None]
    columns = _random_ranges(clips, bands, widest=band_mask, generator=generator)[:, None, None]
    return torch.where((rows | columns).to(features.device), features.mean(dim=(1, 2, 3), keepdim=True), features)


def mixup(features, targets, *, alpha, generator):
    """Mix every clip with another clip of the batch, and their targets in the same proportion.

    Zhang et al., "mixup" (ICLR 2018). The batch shares one weight, drawn from Beta(alpha, alpha).

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands)
    targets : Tensor, shape (batch, classes), float
        Class probabilities.
    alpha : float, above 0
    generator : torch.Generator, on the CPU

    Returns
    -------
    features, targets : Tensor
        Same shapes as the arguments.

    Examples
    --------
    >>> mixed, targets = mixup(torch.ones(3, 1, 4, 5), torch.eye(3), alpha=0.3, generator=torch.Generator())
    >>> mixed.shape, targets.sum(dim=1)
    (torch.Size([3, 1, 4, 5]), tensor([1., 1., 1.]))
    """
    # torch cannot draw from a Beta distribution with a given generator; numpy can, with a seed from that generator.
    seed = torch.randint(2**31, (1,), generator=generator).item()
    weight = np.random.default_rng(seed).beta(alpha, alpha)
    partner = torch.randperm(len(features), generator=generator).to(features.device)
    return tuple(weight * values + (1 - weight) * values[partner] for values in (features, targets))


def _random_ranges(clips, size, *, widest, generator):
    """A mask, (clips, size), that is True in one random range per clip."""
    width = torch.randint(min(widest, size) + 1, (clips, 1), generator=generator)
    # In float64 the product stays below its limit, so the floor is a valid position.
    start = (torch.rand(clips, 1, generator=generator, dtype=torch.float64) * (size - width + 1)).long()
    position = torch.arange(size)
    return (position >= start) & (position < start + width)
