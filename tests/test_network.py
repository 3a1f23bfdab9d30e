"""The torch network: its short-time Fourier transform, and the silence that it skips."""

import numpy as np
import pytest
import torch

from snippetkit.vocals.network import istft, stft


@pytest.mark.parametrize("samples", [1, 1023, 1024, 2205, 132_300])
def test_istft_inverts_stft(samples):
    signals = torch.from_numpy(np.random.default_rng(samples).normal(size=(2, 2, samples)).astype(np.float32))
    spectrum = stft(signals)
    assert spectrum.shape == (2, 2, -(-(4096 + samples) // 1024), 2049)
    assert (istft(spectrum, samples) - signals).abs().max() < 1e-5


def test_a_frame_of_zeros_precedes_the_signal_and_the_window_is_periodic():
    signal = np.random.default_rng(0).normal(size=10_000)
    padded = np.concatenate([np.zeros(4096), signal, np.zeros(4096)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    spectrum = stft(torch.from_numpy(signal.astype(np.float32)))
    for frame in (0, 3, 13):
        expected = np.fft.rfft(window * padded[1024 * frame : 1024 * frame + 4096])
        np.testing.assert_allclose(spectrum[frame], expected, atol=1e-3)
