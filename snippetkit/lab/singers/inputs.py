"""Other representations of a clip than mel bands: constant-Q, chroma, tonnetz, MFCC, harmonic and percussive halves.

Each function returns ndarray (frames, columns), float32, at librosa's default hop of 512.
"""

import librosa
import numpy as np


def constant_q(signal, sample_rate):
    """Constant-Q magnitude of seven octaves from C1, 84 bins, in dB relative to the loudest, -80 to 0.

    Examples
    --------
    >>> constant_q(np.ones(22_050, np.float32), 22_050).shape
    (44, 84)
    """
    magnitude = np.abs(librosa.cqt(signal, sr=sample_rate))
    return librosa.amplitude_to_db(magnitude, ref=max(magnitude.max(), 1e-5), top_db=80).T.astype(np.float32)


def chroma(signal, sample_rate):
    """Energy of the twelve pitch classes relative to the strongest of each frame.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    >>> int(chroma(tone, 22_050)[20].argmax())      # A, the ninth semitone above C
    9
    """
    return librosa.feature.chroma_cqt(y=signal, sr=sample_rate).T.astype(np.float32)


def tonnetz(signal, sample_rate):
    """Six coordinates of a frame's harmony (Harte, Sandler and Gasser, "Detecting harmonic change", 2006).

    Examples
    --------
    >>> tonnetz(np.ones(22_050, np.float32), 22_050).shape
    (44, 6)
    """
    return librosa.feature.tonnetz(chroma=chroma(signal, sample_rate).T).T.astype(np.float32)


def mfcc(signal, sample_rate):
    """Twenty mel-frequency cepstral coefficients.

    Examples
    --------
    >>> mfcc(np.ones(22_050, np.float32), 22_050).shape
    (44, 20)
    """
    return librosa.feature.mfcc(y=signal, sr=sample_rate, n_mfcc=20).T.astype(np.float32)


def harmonic_percussive(signal, sample_rate):
    """Mel spectra of the harmonic and of the percussive half, 64 bands each, side by side, in dB, -80 to 0.

    Examples
    --------
    >>> harmonic_percussive(np.ones(22_050, np.float32), 22_050).shape
    (44, 128)
    """
    halves = librosa.decompose.hpss(librosa.stft(signal))
    mel = [librosa.feature.melspectrogram(S=np.abs(half) ** 2, sr=sample_rate, n_mels=64) for half in halves]
    both = np.concatenate(mel)
    return librosa.power_to_db(both, ref=max(both.max(), 1e-10), top_db=None).T.clip(-80, 0).astype(np.float32)


KINDS = {
    "constant-Q": constant_q, "chroma": chroma, "tonnetz": tonnetz, "MFCC": mfcc,
    "harmonic and percussive": harmonic_percussive,
}
