"""Other pictures of a clip than mel bands: constant-Q, chroma, tonnetz, and the harmonic and percussive halves.

Each function takes samples and their rate and gives ndarray (frames, columns), float32, at librosa's hop of 512.
"""

import librosa
import numpy as np
from joblib import Parallel, delayed

from ... import audio
from ...utils.progress import progress

_HOP = 512


def constant_q(signal, sample_rate):
    """Constant-Q magnitude, 84 bins of seven octaves from C1, in dB relative to the loudest, -80 to 0."""
    return _decibels(np.abs(librosa.cqt(signal, sr=sample_rate, hop_length=_HOP)))


def chroma(signal, sample_rate):
    """Energy of the twelve pitch classes, the strongest of a frame 1."""
    return librosa.feature.chroma_cqt(y=signal, sr=sample_rate, hop_length=_HOP).T.astype(np.float32)


def tonnetz(signal, sample_rate):
    """Six coordinates of a frame's harmony (Harte, Sandler and Gasser, 2006)."""
    return librosa.feature.tonnetz(chroma=chroma(signal, sample_rate).T).T.astype(np.float32)


def mfcc(signal, sample_rate):
    """Twenty cepstral coefficients of the mel spectrum."""
    return librosa.feature.mfcc(y=signal, sr=sample_rate, n_mfcc=20, hop_length=_HOP).T.astype(np.float32)


def harmonic_percussive(signal, sample_rate):
    """Mel spectra of the harmonic and of the percussive half, 64 bands each side by side, in dB, -80 to 0."""
    halves = librosa.decompose.hpss(librosa.stft(signal, hop_length=_HOP))
    mel = [librosa.feature.melspectrogram(S=np.abs(half) ** 2, sr=sample_rate, n_mels=64) for half in halves]
    loudest = max(each.max() for each in mel)
    return np.concatenate([librosa.power_to_db(each, ref=max(loudest, 1e-10), top_db=None).T for each in mel],
                          axis=1).clip(-80, 0).astype(np.float32)


def _decibels(magnitude):
    return librosa.amplitude_to_db(magnitude, ref=max(magnitude.max(), 1e-5), top_db=80).T.astype(np.float32)


KINDS = {
    "constant-Q": constant_q, "chroma": chroma, "tonnetz": tonnetz, "MFCC": mfcc,
    "harmonic and percussive": harmonic_percussive,
}


def of_clips(kind, paths, *, sample_rate=22_050, seconds=None, jobs=-1):
    """One of `KINDS` for many clips of one length.

    Parameters
    ----------
    kind : str
    paths : sequence of path-like
    sample_rate : int, in Hz
    seconds : float or None
        As in `audio.load`.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, frames, columns), float32
    """
    waiting = Parallel(jobs, return_as="generator")(
        delayed(_of_clip)(kind, path, sample_rate, seconds) for path in paths
    )
    return np.stack(list(progress(waiting, total=len(paths), title=kind, unit="clip")))


def _of_clip(kind, path, sample_rate, seconds):
    return KINDS[kind](audio.load(path, sample_rate=sample_rate, seconds=seconds), sample_rate)
