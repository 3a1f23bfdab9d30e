"""What changes a batch while training: as sound (another clip over it, a filter, another key), and as numbers.

Every draw comes from a generator that the caller keeps, so that a resumed run draws what it would have drawn.
"""

import numpy as np
import torch

# In the dB of the features, which are twice those of a level meter.
_LOUDER = 12.0              # a clip laid over another, at most
_SILENT_BESIDE = 120.0      # than which two clips differ more if one of them is silence


def overlay(features, labels, together, *, share, generator):
    """Lay another clip of the batch over some clips, as loud give or take a random difference.

    Energies of sounds that have nothing to do with one another add up. What is then heard is no average of two labels:
    a singer over somebody else's accompaniment is still that singer, two singers are more than one. Tokozume et al.,
    "Learning from between-class examples" (ICLR 2018) mix sounds likewise, but their labels by shares.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands), in dB as `filterbank.decibels` has them
    labels : Tensor, shape (batch,), int64
    together : Tensor, shape (classes, classes), int64
        The label of two clips at once.
    share : float, 0 to 1
        Of the clips that another is laid over.
    generator : torch.Generator, on the CPU

    Returns
    -------
    features, labels : Tensor
        Of the same shapes.
    """
    batch = len(labels)
    if batch < 2:
        return features, labels
    # by going some places on, so that no clip is laid over itself: one singer twice is not two
    step = torch.randint(1, batch, (1,), generator=generator)
    partner = ((torch.arange(batch) + step) % batch).to(features.device)
    is_laid_over = (torch.rand(batch, generator=generator) < share).to(features.device)
    difference = (_LOUDER * (2 * torch.rand(batch, generator=generator) - 1)).to(features.device)
    level = 20 * torch.log10((10 ** (features / 20)).mean(dim=(1, 2, 3)).clamp_min(1e-30))
    is_laid_over &= (level - level[partner]).abs() < _SILENT_BESIDE
    others = features[partner] + (level - level[partner] + difference)[:, None, None, None]
    # 20 log10(10^(a/20) + 10^(b/20)), without leaving the range of a float
    louder, softer = torch.maximum(features, others), torch.minimum(features, others)
    both = louder + 20 * torch.log10(1 + 10 ** ((softer - louder) / 20))
    return (
        torch.where(is_laid_over[:, None, None, None], both, features),
        torch.where(is_laid_over, together[labels, labels[partner]], labels),
    )


def equalise(features, *, deviation, generator):
    """Send every clip through a random smooth filter, as another microphone or mixing desk would.

    The filter's curve is a sum of five cosines over the bands, with falling weights and random phases.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands), in dB
    deviation : float, in dB
        Of the slowest cosine's weight.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)
    """
    order = torch.arange(1, 6)[:, None]
    weight = torch.randn(len(features), 5, 1, generator=generator) * deviation / order
    phase = 2 * torch.pi * torch.rand(len(features), 5, 1, generator=generator)
    place = torch.linspace(0, 1, features.shape[3])
    curve = (weight * torch.cos(torch.pi * order * place + phase)).sum(dim=1)
    return features + curve[:, None, None, :].to(features.device)


def shift_bands(features, *, widest, generator):
    """Move every clip up or down by whole bands: on a logarithmic scale, into another key.

    Parameters
    ----------
    features : Tensor, shape (batch, channels, frames, bands)
    widest : int
        Bands; the outermost is repeated where nothing moves in.
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (batch, channels, frames, bands)
    """
    shift = torch.randint(-widest, widest + 1, (len(features), 1), generator=generator)
    bands = features.shape[3]
    source = (torch.arange(bands) - shift).clamp(0, bands - 1).to(features.device)
    return features.gather(3, source[:, None, None, :].expand_as(features))


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
