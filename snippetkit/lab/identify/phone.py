"""A simulated phone in a simulated room: reverberation, a small microphone, clipping, a low-rate MP3.

It is built from public formulas, without recordings of a phone, so it only approximates one.
"""

import io

import numpy as np
import soundfile
from scipy import signal as filters

REVERBERATION = 0.2, 0.8        # seconds of reverberation time (60 dB): a bedroom to a hall
DIRECT_TO_ROOM = 0.0, 10.0      # dB of the direct sound over the reverberant one
MICROPHONE = 250.0, 7000.0      # Hz, pass band of a small microphone
_DRIVE = 0.0, 12.0              # dB of the peaks over full scale
_MP3_LEVEL = 0.9                # of libsndfile's scale from the best quality, 0, to the lowest rate, 1


def room(sample_rate, *, rng, reverberation=REVERBERATION, direct=DIRECT_TO_ROOM):
    """The impulse response of a random room: the direct sound, then noise that decays exponentially.

    Polack's model (doctoral thesis, Le Mans 1988): Gaussian noise times ``10^(-3 t / T)``, which is 60 dB down after T.

    Parameters
    ----------
    sample_rate : int, in Hz
    rng : numpy.random.Generator
    reverberation : tuple of float
        Bounds of T in seconds.
    direct : tuple of float
        Bounds of the direct-to-reverberant energy ratio in dB.

    Returns
    -------
    ndarray, shape (T · sample_rate,), float64
        Of energy 1.
    """
    seconds = rng.uniform(*reverberation)
    time = np.arange(1, round(seconds * sample_rate)) / sample_rate
    tail = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    tail *= np.sqrt(10 ** (-rng.uniform(*direct) / 10) / np.sum(tail**2))
    response = np.concatenate([[1.0], tail])
    return response / np.sqrt(np.sum(response**2))


def microphone(sound, sample_rate, *, band=MICROPHONE):
    """A small microphone: a fourth-order Butterworth band-pass.

    Parameters
    ----------
    sound : ndarray, shape (samples,)
    sample_rate : int, in Hz
    band : tuple of float
        Cut-off frequencies (-3 dB) in Hz.

    Returns
    -------
    ndarray, shape (samples,)
    """
    return filters.sosfilt(filters.butter(4, band, "bandpass", fs=sample_rate, output="sos"), sound)


def clipped(sound, drive):
    """Scale the peak to `drive` dB over full scale and clip; nothing is clipped at 0 dB or less."""
    peak = np.max(np.abs(sound), initial=0)
    return np.clip(sound / peak * 10 ** (drive / 20), -1, 1) if peak else sound


def through_mp3(sound, sample_rate):
    """Encode as an MP3 at about 24 kbit/s and decode it again; the length stays the same.

    Parameters
    ----------
    sound : ndarray, shape (samples,), within -1..1
    sample_rate : int, in Hz

    Returns
    -------
    ndarray, shape (samples,), float32
    """
    decoded, _ = soundfile.read(io.BytesIO(encoded(sound, sample_rate)), dtype="float32")
    decoded = np.clip(decoded[: len(sound)], -1, 1)     # decoded samples may slightly exceed full scale
    return np.pad(decoded, (0, len(sound) - len(decoded)))


def encoded(sound, sample_rate):
    """The bytes of the MP3 of `through_mp3`."""
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", sample_rate, 1, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=_MP3_LEVEL,
    ) as file:
        file.write(sound)
    return target.getvalue()


def recorded(sound, sample_rate, *, rng):
    """Room, microphone, clipping and MP3, in this order.

    Parameters
    ----------
    sound : ndarray, shape (samples,)
        Music with noise.
    sample_rate : int, in Hz
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (samples,), float32
    """
    signal = filters.fftconvolve(sound, room(sample_rate, rng=rng))[: len(sound)]
    signal = microphone(signal, sample_rate, band=(MICROPHONE[0], min(MICROPHONE[1], 0.45 * sample_rate)))
    return through_mp3(0.9 * clipped(signal, rng.uniform(*_DRIVE)), sample_rate)
