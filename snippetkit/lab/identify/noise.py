"""Noise over music: ambient recordings are mixed with each other, then with a signal at a given signal-to-noise ratio.

Everything works in batches, on the device of the sounds. Every random number comes from a generator of the caller.
"""

import math
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How songs and noises are mixed. A pair is a range from which values are drawn uniformly.

    Attributes
    ----------
    gain : float
        Amplification of a song before the noise is added, in dB, as published. The noise is scaled to the
        signal-to-noise ratio, and spectrograms are relative to their loudest point, so it does not affect the network.
    layers : tuple of int
        Number of ambient recordings in a background, as published. A recording may occur twice.
    gains : tuple of float
        Amplification of each of them, in dB.
    snr : tuple of float
        Signal-to-noise ratio in dB.
    colour : bool
        Whether each mix gets the frequency response of a random microphone, see `random_responses`. Not published.
    """

    gain: float = 4.0
    layers: tuple = (5, 20)
    gains: tuple = (-6.0, 6.0)
    snr: tuple = (-5.0, 20.0)
    colour: bool = True

    def at(self, snr):
        """The same mix with a fixed signal-to-noise ratio."""
        return replace(self, snr=(snr, snr))


def power(signals):
    """Mean square of each signal.

    Parameters
    ----------
    signals : Tensor, shape (..., samples)

    Returns
    -------
    Tensor, shape (..., 1)

    Examples
    --------
    >>> power(torch.tensor([[3.0, -1.0]]))
    tensor([[5.]])
    """
    return signals.square().mean(dim=-1, keepdim=True)


def amplify(signals, gain):
    """Change the level of signals.

    Parameters
    ----------
    signals : Tensor, shape (..., samples)
    gain : float, or Tensor, shape (...)
        In dB.

    Returns
    -------
    Tensor, shape (..., samples)

    Examples
    --------
    >>> amplify(torch.ones(1, 2), 20.0)
    tensor([[10., 10.]])
    """
    return signals * 10 ** (torch.as_tensor(gain, device=signals.device)[..., None] / 20)


def make_backgrounds(bank, count, samples, mix, *, generator):
    """Mix random fragments of ambient recordings, each at a random level.

    Parameters
    ----------
    bank : SoundBank
        Ambient recordings.
    count, samples : int
        Number and length of the backgrounds.
    mix : Mix
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (count, samples), float32
    """
    fewest, most = mix.layers
    layers = torch.randint(fewest, most + 1, (count,), generator=generator)
    backgrounds = torch.zeros(count, samples, device=bank.device)
    for layer in range(most):
        recordings = torch.randint(len(bank), (count,), generator=generator)
        offsets = bank.draw_offsets(recordings, samples, generator=generator)
        factors = 10 ** (draw_uniform(count, *mix.gains, generator=generator) / 20)
        bank.add_fragments(backgrounds, recordings, offsets, torch.where(layer < layers, factors, 0))
    return backgrounds


def random_responses(count, frequencies, *, generator):
    """Frequency responses of random microphones: a pass band, 24 dB per octave outside it, and a tilt.

    The band starts between 20 and 500 Hz and ends between 3 and 16 kHz. The tilt is up to 3 dB per octave.

    Parameters
    ----------
    count : int
    frequencies : Tensor, shape (bands,), in Hz
    generator : torch.Generator, on the CPU

    Returns
    -------
    Tensor, shape (count, bands), in dB

    Examples
    --------
    >>> random_responses(1, torch.tensor([1000.0]), generator=torch.Generator()).abs().item()
    0.0
    """
    octaves = torch.log2(frequencies.cpu())
    low, high = (
        draw_uniform(count, *(math.log2(hz) for hz in edges), generator=generator)[:, None]
        for edges in ((20, 500), (3000, 16_000))
    )
    tilt = draw_uniform(count, -3, 3, generator=generator)[:, None]
    beyond = (low - octaves).clamp_min(0) + (octaves - high).clamp_min(0)
    return tilt * (octaves - math.log2(1000)) - 24 * beyond


def draw_uniform(count, low, high, *, generator):
    """Draw from a uniform distribution: Tensor, shape (count,), float32, on the CPU.

    Examples
    --------
    >>> draw_uniform(2, 5, 5, generator=torch.Generator())
    tensor([5., 5.])
    """
    return low + (high - low) * torch.rand(count, generator=generator)


def mix_at_snr(signals, noises, snr):
    """Add noises to signals at a signal-to-noise ratio. The signals keep their level, the noises are scaled.

    Parameters
    ----------
    signals, noises : Tensor, shape (batch, samples)
    snr : float, or Tensor, shape (batch,)
        Ratio of the powers, in dB.

    Returns
    -------
    Tensor, shape (batch, samples)
        Nothing is added if the signal or the noise is silent, because the ratio is undefined then.

    Examples
    --------
    >>> mix_at_snr(torch.ones(1, 2), torch.tensor([[5.0, -5.0]]), 20.0)
    tensor([[1.1000, 0.9000]])
    """
    ratio = 10 ** (torch.as_tensor(snr, device=signals.device, dtype=signals.dtype)[..., None] / 10)
    factor = power(signals) / (power(noises) * ratio)
    return signals + noises * torch.where(torch.isfinite(factor), factor, 0).sqrt()
