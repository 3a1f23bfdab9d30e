"""What pretrained networks share: the power in mel bands that they take, and the means over time that are kept."""

import librosa
import torch
from torch.nn import functional


def mel_power(samples, *, rate, n_fft, hop, bands):
    """Power in mel bands, as librosa's melspectrogram with its defaults.

    Parameters
    ----------
    samples : Tensor, shape (clips, samples), float32
    rate : int
        Hz.
    n_fft, hop : int
        Length of a frame, under a Hann window, and of a step, in samples.
    bands : int
        Up to half the rate.

    Returns
    -------
    Tensor, shape (clips, 1 + samples // hop, bands)

    Examples
    --------
    >>> mel_power(torch.zeros(2, 48_000), rate=16_000, n_fft=400, hop=160, bands=40).shape
    torch.Size([2, 301, 40])
    """
    window = torch.hann_window(n_fft, device=samples.device)
    spectrum = torch.stft(samples, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    filters = torch.from_numpy(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands))
    return (filters.to(samples.device) @ spectrum.abs().square()).transpose(1, 2)


def mean_frames(values, count):
    """Means over `count` parts of the time, whose lengths differ by a frame at most.

    Parameters
    ----------
    values : Tensor, shape (clips, channels, frames)
    count : int

    Returns
    -------
    ndarray, shape (clips, count, channels), float32
    """
    return functional.adaptive_avg_pool1d(values.float(), count).transpose(1, 2).cpu().numpy()
