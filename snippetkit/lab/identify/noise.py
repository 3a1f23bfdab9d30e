"""Noise over music: ambient recordings are summed and added to a signal at a given signal-to-noise ratio.

All functions work on batches, on the device of the sounds. Random draws come from the caller's generator.
"""

import math
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How songs and noises are mixed; pairs are the bounds of uniform distributions.

    Attributes
    ----------
    gain : float
        Gain of the song in dB, as published. It has no effect on the features: the noise follows the song's level, and
        levels are relative to the loudest.
    layers : tuple of int
        Number of ambient recordings that are summed, as published; one may occur twice.
    gains : tuple of float
        Gain of each of them in dB.
    snr : tuple of float
        Signal-to-noise ratio in dB.
    colour : bool
        Whether each mix passes a random microphone, see `microphones`; not published.
    """

    gain: float = 4.0
    layers: tuple = (5, 20)
    gains: tuple = (-6.0, 6.0)
    snr: tuple = (-5.0, 20.0)
    colour: bool = True

    def at(self, snr):
        """The same at one signal-to-noise ratio."""
        return replace(self, snr=(snr, snr))


def power(signals):
    """Mean square of each signal: Tensor (..., samples) to (..., 1)."""
    return signals.square().mean(dim=-1, keepdim=True)


def decibels(ratio):
    """``10 log10`` of a ratio of powers."""
    return 10 * torch.log10(ratio)


def amplify(signals, gain):
    """Amplify signals by `gain` dB, a number or a Tensor that broadcasts without the last axis."""
    return signals * 10 ** (torch.as_tensor(gain, device=signals.device)[..., None] / 20)


def ambience(bank, count, samples, mix, *, generator):
    """Backgrounds: sums of random fragments of ambient recordings at random levels.

    Parameters
    ----------
    bank : Bank
        Of ambient recordings.
    count, samples : int
        Number of backgrounds and their length.
    mix : Mix
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (count, samples), float32
    """
    fewest, most = mix.layers
    layers = torch.randint(fewest, most + 1, (count,), generator=generator)
    background = torch.zeros(count, samples, device=bank.device)
    for layer in range(most):
        which = torch.randint(len(bank), (count,), generator=generator)
        offsets = bank.draw(which, samples, generator=generator)
        factors = 10 ** (uniform(count, *mix.gains, generator=generator) / 20)
        bank.add(background, which, offsets, torch.where(layer < layers, factors, 0))
    return background


def microphones(count, frequencies, *, generator):
    """Frequency responses of random microphones: a random band, 24 dB per octave outside it, and a tilt.

    Parameters
    ----------
    count : int
    frequencies : Tensor, shape (bands,), in Hz
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (count, bands), in dB
    """
    octaves = torch.log2(frequencies.cpu())
    low, high = (
        uniform(count, *(math.log2(hz) for hz in ends), generator=generator)[:, None]
        for ends in ((20, 500), (3000, 16_000))
    )
    tilt = uniform(count, -3, 3, generator=generator)[:, None]
    outside = (low - octaves).clamp_min(0) + (octaves - high).clamp_min(0)
    return tilt * (octaves - math.log2(1000)) - 24 * outside


def uniform(count, low, high, *, generator):
    """Uniformly distributed numbers: Tensor, shape (count,), float32, on the CPU."""
    return low + (high - low) * torch.rand(count, generator=generator)


def mix_at_snr(signals, noises, snr):
    """Add noises to signals at a signal-to-noise ratio; the signals keep their level.

    Parameters
    ----------
    signals, noises : Tensor, shape (batch, samples)
    snr : float or Tensor, shape (batch,)
        In dB.

    Returns
    -------
    Tensor, shape (batch, samples)
        Nothing is added if the signal or the noise is silent.

    Examples
    --------
    >>> mix_at_snr(torch.ones(1, 4), torch.full((1, 4), 0.1), 0.0)     # the noise gets the signal's power
    tensor([[2., 2., 2., 2.]])
    """
    ratio = 10 ** (torch.as_tensor(snr, device=signals.device, dtype=signals.dtype)[..., None] / 10)
    factor = power(signals) / (power(noises) * ratio)
    return signals + noises * torch.where(torch.isfinite(factor), factor, 0).sqrt()
