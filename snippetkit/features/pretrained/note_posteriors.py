"""A note transcriber: which of 88 pitches sound at each moment, trained on many instruments and on singing.

Bittner et al., "A lightweight instrument-agnostic model for polyphonic note transcription and multipitch estimation"
(ICASSP 2022). It is the original graph, from the wheel of Basic Pitch 0.4.0, in ONNX Runtime.
"""

from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

from ...utils.errors import KitError
from .releases import BASIC_PITCH
from .spectrum import mean_frames

RATE = 22_050   # Hz
PITCHES = 88    # those of a piano, from 27.5 Hz
_HOP = 256
_WINDOW = 43_844    # samples that the graph takes
_FRAMES = 172       # that it gives for them
_AT_ONCE = 4        # windows of one call
_THRESHOLDS = (0.3, 0.5)    # of Basic Pitch for notes, and for onsets
_MOST_AT_ONCE = 5           # pitches that are counted
_OUTPUTS = {f"StatefulPartitionedCall:{number}": name for number, name in enumerate(("contours", "notes", "onsets"))}


class Embedder:
    """The pitches of a clip as features.

    Parameters
    ----------
    folder : path-like
        Where the file of `releases.BASIC_PITCH` is.
    device : Device or None
        Not used: the graph is small, and runs on the CPU.

    Raises
    ------
    KitError
        If the file is missing or damaged, or ONNX Runtime is not installed.
    """

    rate = RATE

    def __init__(self, folder, device=None):
        try:
            import onnxruntime
        except ImportError:
            raise KitError(
                "the note transcriber needs onnxruntime, which is not installed: pip install onnxruntime."
            ) from None
        path = Path(folder, *BASIC_PITCH.files)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1    # windows side by side are faster than threads within one, see `posteriors`
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common class for its errors
            raise KitError(f"{path} cannot be read as {BASIC_PITCH.title} ({error}). Delete it.") from error
        self._input = self._session.get_inputs()[0].name

    def encode(self, samples):
        """`posteriors` of clips, which `pooled` and `frames` take."""
        return self.posteriors(samples)

    def pooled(self, encoded):
        """Statistics of the posteriors over time, and how many pitches sound at once.

        For each pitch, they are the mean, deviation and maximum of the notes, the maximum of the onsets and the mean
        of the contours. They are followed by the share of the frames with 0, 1, … pitches whose probability is above
        each of two thresholds.

        Returns
        -------
        ndarray, shape (clips, 628), float32
        """
        notes, counts = encoded["notes"], np.arange(_MOST_AT_ONCE + 1)
        at_once = [np.minimum((notes > least).sum(axis=2), _MOST_AT_ONCE) for least in _THRESHOLDS]
        shares = [(count[..., np.newaxis] == counts).mean(axis=1) for count in at_once]
        return np.concatenate([
            notes.mean(axis=1), notes.std(axis=1), notes.max(axis=1), encoded["onsets"].max(axis=1),
            encoded["contours"].mean(axis=1), *shares,
        ], axis=1).astype(np.float32)

    def frames(self, encoded, *, count):
        """Notes, onsets and contours in `count` parts of the time: ndarray (clips, count, 5 * PITCHES), float32."""
        side_by_side = np.concatenate([encoded[name] for name in ("notes", "onsets", "contours")], axis=2)
        return mean_frames(torch.from_numpy(side_by_side).transpose(1, 2), count)

    def show(self, samples):
        """The notes of one clip: ndarray, shape (frames, PITCHES)."""
        return self.posteriors(samples)["notes"][0]

    def posteriors(self, samples):
        """Transcribe clips of one length.

        Parameters
        ----------
        samples : ndarray, shape (clips, samples), float32
            At `RATE`.

        Returns
        -------
        dict
            ``notes`` and ``onsets``, ndarray, shape (clips, frames, PITCHES), and ``contours``, shape (clips, frames,
            3 * PITCHES): probabilities in frames of 256 samples.
        """
        clips, length = samples.shape
        starts = _starts(length)
        padded = np.pad(samples, ((0, 0), (0, max(0, starts[-1] + _WINDOW - length)))).astype(np.float32)
        windows = np.concatenate([padded[:, start : start + _WINDOW] for start in starts])[..., np.newaxis]
        parts = [windows[first : first + _AT_ONCE] for first in range(0, len(windows), _AT_ONCE)]
        results = Parallel(-1, prefer="threads")(delayed(self._run)(part) for part in parts)
        return {
            name: _joined(np.split(np.concatenate(values), len(starts)), starts, -(-length // _HOP))
            for name, values in zip(_OUTPUTS.values(), zip(*results))
        }

    def _run(self, windows):
        return self._session.run(list(_OUTPUTS), {self._input: windows})


def _starts(length):
    """Samples at which windows start, whole frames, so that the last one ends with the clip or a frame before it."""
    last = max(0, length - _WINDOW) // _HOP
    count = 1 + -(-last // (_FRAMES - 30))     # neighbours share 30 frames or more, as in Basic Pitch
    return [_HOP * round(last * number / max(1, count - 1)) for number in range(count)]


def _joined(parts, starts, frames):
    """One sequence from windows that overlap: each gives the frames that are nearer to its centre."""
    firsts = [start // _HOP for start in starts]
    # where one window hands over to the next: in the middle of what they share
    cuts = [0, *((first + before + _FRAMES) // 2 for before, first in zip(firsts, firsts[1:])), frames]
    pieces = [part[:, cut - first : end - first] for part, first, cut, end in zip(parts, firsts, cuts, cuts[1:])]
    return np.concatenate(pieces, axis=1)
