"""Noise over music: ambient recordings laid over each other, then over a signal, at a ratio that is asked for.

By the batch, on the device that the sounds are on. Every draw comes from a generator that the caller keeps.
"""

import math
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How songs and noises are mixed; pairs are the ends between which is drawn evenly.

    Attributes
    ----------
    gain : float
        dB by which a song is amplified before the noise, as published. With a ratio that is asked for the noise
        follows it, and levels are relative to the loudest, so that no network can tell.
    layers : tuple of int
        Ambient recordings that are laid over each other, as published; one may be there twice.
    gains : tuple of float
        dB by which each of them is amplified.
    snr : tuple of float
        Signal to noise, in dB.
    colour : bool
        Whether each mix is heard by a microphone of its own, see `microphones`; not published.
    """

    gain: float = 4.0
    layers: tuple = (5, 20)
    gains: tuple = (-6.0, 6.0)
    snr: tuple = (-5.0, 20.0)
    colour: bool = True

    def at(self, snr):
        """The same at one ratio of signal to noise."""
        return replace(self, snr=(snr, snr))


def power(signals):
    """Mean square of each signal: Tensor (..., samples) to (..., 1)."""
    return signals.square().mean(dim=-1, keepdim=True)


def decibels(ratio):
    """``10 log10`` of a ratio of powers."""
    return 10 * torch.log10(ratio)


def amplify(signals, gain):
    """Signals by so many dB louder: `gain` is a number or a Tensor that fits the signals without their last axis."""
    return signals * 10 ** (torch.as_tensor(gain, device=signals.device)[..., None] / 20)


def ambience(bank, count, samples, mix, *, generator):
    """Backgrounds of many recordings, each a random fragment at a random level.

    Parameters
    ----------
    bank : Bank
        Of ambient recordings.
    count, samples : int
        How many backgrounds, and how long.
    mix : Mix
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (count, samples), float32
    """
    fewest, most = mix.layers
    wanted = torch.randint(fewest, most + 1, (count,), generator=generator)
    heard = torch.zeros(count, samples, device=bank.device)
    for layer in range(most):
        which = torch.randint(len(bank), (count,), generator=generator)
        offsets = bank.draw(which, samples, generator=generator)
        factors = 10 ** (uniform(count, *mix.gains, generator=generator) / 20)
        bank.add(heard, which, offsets, torch.where(layer < wanted, factors, 0))
    return heard


def microphones(count, frequencies, *, generator):
    """What random microphones pass: from some frequency to some other, 24 dB an octave less beyond, and tilted.

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
    beyond = (low - octaves).clamp_min(0) + (octaves - high).clamp_min(0)
    return tilt * (octaves - math.log2(1000)) - 24 * beyond


def uniform(count, low, high, *, generator):
    """Numbers drawn evenly between two: Tensor, shape (count,), float32, on the CPU."""
    return low + (high - low) * torch.rand(count, generator=generator)


def mix_at_snr(signals, noises, snr):
    """Lay noises over signals, each as loud as the ratio of their powers demands; the signals stay as they are.

    Parameters
    ----------
    signals, noises : Tensor, shape (batch, samples)
    snr : float or Tensor, shape (batch,)
        Signal to noise, in dB.

    Returns
    -------
    Tensor, shape (batch, samples)
        A signal or a noise that is silent has no ratio: then nothing is added.
    """
    wanted = 10 ** (torch.as_tensor(snr, device=signals.device, dtype=signals.dtype)[..., None] / 10)
    factor = power(signals) / (power(noises) * wanted)
    return signals + noises * torch.where(torch.isfinite(factor), factor, 0).sqrt()
