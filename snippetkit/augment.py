"""What changes a batch while training: stretches of clips, blanks, and clips laid over one another.

Every draw comes from a generator that the caller keeps, so that a resumed run draws what it would have drawn.
"""

import numpy as np
import torch


def random_crop(features, *, frames, generator):
    """Cut the same number of frames out of every clip, each from a place of its own.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, all frames, bands)
    frames : int
        Of a clip that is no longer, all are kept.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)
    """
    batch, _, all_frames, _ = features.shape
    if all_frames <= frames:
        return features
    starts = torch.randint(all_frames - frames + 1, (batch,), generator=generator)
    return torch.stack([clip[:, start : start + frames] for clip, start in zip(features, starts.tolist())])


def spec_augment(features, *, time_mask, band_mask, generator):
    """Blank one stretch of frames and one of bands in every clip, with the clip's mean.

    Park et al., "SpecAugment" (Interspeech 2019): widths uniform from 0 to the largest, places uniform.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands)
    time_mask, band_mask : int
        The widest that a stretch may be, in frames and bands; 0 blanks none.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)
    """
    blank = _stretch(features, axis=2, widest=time_mask, generator=generator)
    blank = blank | _stretch(features, axis=3, widest=band_mask, generator=generator)
    return torch.where(blank, features.mean(dim=(1, 2, 3), keepdim=True), features)


def mixup(features, targets, *, alpha, generator):
    """Lay every clip over another one of the batch, and its target likewise.

    Zhang et al., "mixup" (ICLR 2018): one weight a batch, drawn from Beta(alpha, alpha).

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands)
    targets : Tensor, shape (batch, classes), float
        A probability a class.
    alpha : float, above 0
    generator : torch.Generator, on the CPU

    Returns
    -------
    features, targets : Tensor
        Of the same shapes.
    """
    # torch draws no Beta from a generator of one's own; numpy does, from a seed that this one gives.
    seed = torch.randint(2**31, (1,), generator=generator).item()
    weight = np.random.default_rng(seed).beta(alpha, alpha)
    partner = torch.randperm(len(features), generator=generator).to(features.device)
    return (
        weight * features + (1 - weight) * features[partner],
        weight * targets + (1 - weight) * targets[partner],
    )


def _stretch(features, *, axis, widest, generator):
    """True inside one random stretch of an axis for every clip, shaped to broadcast against the features."""
    size, batch = features.shape[axis], len(features)
    width = torch.rand(batch, generator=generator) * min(widest, size)
    start = torch.rand(batch, generator=generator) * (size - width)
    place = torch.arange(size)
    inside = (place >= start[:, None]) & (place + 1 <= start[:, None] + width[:, None])
    shape = [batch, 1, 1, 1]
    shape[axis] = size
    return inside.view(shape).to(features.device)
