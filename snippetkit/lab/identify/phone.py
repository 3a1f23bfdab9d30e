"""A simulated phone in a simulated room: reverberation, a small microphone, clipping, an MP3 with a low bit rate.

It is made from public formulas, not from recordings. Its effect resembles that of a real phone but is not the same.
"""

import io

import numpy as np
import soundfile
import torch
from scipy import signal as filters

MICROPHONE = 250.0, 7000.0      # pass band of a small microphone, in Hz
_DRIVE = 0.0, 12.0              # peak level above full scale, in dB
_MP3_LEVEL = 0.9                # libsndfile's compression level, from 0 (best quality) to 1 (lowest bit rate)


def room_response(sample_rate, *, rng, reverberation=(0.2, 0.8), direct=(0.0, 10.0)):
    """Draw the impulse response of a room: the direct sound, then exponentially decaying noise.

    Polack's model (doctoral thesis, Le Mans 1988): Gaussian noise times ``10^(-3 t / T)``, which is 60 dB down after T.

    Parameters
    ----------
    sample_rate : int, in Hz
    rng : numpy.random.Generator
    reverberation : tuple of float
        Range of the reverberation time T, in seconds; by default from a bedroom to a hall.
    direct : tuple of float
        Range of the ratio of direct to reverberant energy, in dB.

    Returns
    -------
    ndarray, shape (T · sample_rate,), float64
        With an energy of 1.

    Examples
    --------
    >>> room_response(8000, rng=np.random.default_rng(0), reverberation=(0.5, 0.5)).shape
    (4000,)
    """
    seconds = rng.uniform(*reverberation)
    time = np.arange(1, round(seconds * sample_rate)) / sample_rate
    tail = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    tail *= np.sqrt(10 ** (-rng.uniform(*direct) / 10) / np.sum(tail**2))
    response = np.concatenate([[1.0], tail])
    return response / np.sqrt(np.sum(response**2))


def band_pass(signal, sample_rate, band, *, order=4):
    """Apply a Butterworth band-pass filter.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
    sample_rate : int, in Hz
    band : tuple of float
        Cut-off frequencies (-3 dB), in Hz.
    order : int

    Returns
    -------
    ndarray, shape (samples,)

    Examples
    --------
    >>> bool(abs(band_pass(np.ones(22_050), 22_050, MICROPHONE)[-1]) < 1e-6)    # no constant offset passes
    True
    """
    return filters.sosfilt(filters.butter(order, band, "bandpass", fs=sample_rate, output="sos"), signal)


def clip_peaks(signal, drive):
    """Scale the largest peak to `drive` dB above full scale, then clip at full scale.

    Examples
    --------
    >>> clip_peaks(np.array([0.1, -0.2]), 20)
    array([ 1., -1.])
    """
    peak = np.max(np.abs(signal), initial=0)
    return np.clip(signal / peak * 10 ** (drive / 20), -1, 1) if peak else signal


def encode_mp3(signal, sample_rate):
    """Encode a signal, within -1 to 1, as an MP3 of about 24 kbit/s: bytes."""
    target = io.BytesIO()
    soundfile.write(target, signal, sample_rate, format="MP3", bitrate_mode="CONSTANT", compression_level=_MP3_LEVEL)
    return target.getvalue()


def pass_through_mp3(signal, sample_rate):
    """Encode a signal with `encode_mp3` and decode it again: ndarray of the same shape, float32."""
    decoded, _ = soundfile.read(io.BytesIO(encode_mp3(signal, sample_rate)), dtype="float32")
    decoded = np.clip(decoded[: len(signal)], -1, 1)    # a decoded MP3 can exceed full scale
    return np.pad(decoded, (0, len(signal) - len(decoded)))


def record_with_phone(signal, sample_rate, *, rng):
    """Apply a random room, the microphone, random clipping, and the MP3 codec.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
        Music with the noise of the room.
    sample_rate : int, in Hz
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (samples,), float32

    Examples
    --------
    >>> record_with_phone(np.ones(22_050), 22_050, rng=np.random.default_rng(0)).shape
    (22050,)
    """
    reverberant = filters.fftconvolve(signal, room_response(sample_rate, rng=rng))[: len(signal)]
    band = MICROPHONE[0], min(MICROPHONE[1], 0.45 * sample_rate)
    recorded = band_pass(reverberant, sample_rate, band)
    return pass_through_mp3(0.9 * clip_peaks(recorded, rng.uniform(*_DRIVE)), sample_rate)


def record_batch(signals, sample_rate, *, seed):
    """`record_with_phone` for a Tensor of shape (batch, samples), each row with its own random room."""
    rows = [
        record_with_phone(signal, sample_rate, rng=np.random.default_rng([seed, row]))
        for row, signal in enumerate(signals.cpu().numpy())
    ]
    return torch.from_numpy(np.stack(rows)).to(signals.device)
