"""A fingerprint index of songs: pairs of spectral peaks as hashes. Nothing is trained.

Avery Wang, "An industrial-strength audio search algorithm" (ISMIR 2003). A recording is compared with the exact
recordings that were added, not with other versions of a song.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from ...data.labels import read_npz
from ...utils.errors import KitError
from ...utils.storage import replacing

SAMPLE_RATE = 22_050                    # Hz
_WINDOW, _HOP = 2048, 512               # samples
_BINS = 750                             # of the spectrum, up to 8 kHz
_APART = 5, 15                          # a peak is the maximum within so many frames and bins on either side
_FLOOR = 1e-5                           # lowest peak, relative to the highest (-100 dB)
_FAN_OUT = 8                            # pairs of a peak: with the next ones of its target zone
_ZONE = 63, 100                         # size of the target zone: frames after the peak, bins above and below it
_GRIDS = 2                              # a query is framed so many times, from different samples
_WIDTH = 3                              # offsets that differ by less count as one, in frames / _GRIDS
_BLOCK = 1024                           # frames; a whole song would need 16 times the memory of its samples
FORMAT = 1                             # of the file; increase it when a fingerprint changes


class Match(NamedTuple):
    """A song that a recording may be from.

    Attributes
    ----------
    name : str
    score : int
        Number of pairs in the recording that the song has at this offset.
    offset : float
        Where in the song the recording starts, in seconds.
    """

    name: str
    score: int
    offset: float


def find_peaks(signal):
    """Find the local maxima of a spectrogram (Hann window of 93 ms, every 23 ms).

    Parameters
    ----------
    signal : ndarray, shape (samples,)
        At `SAMPLE_RATE`.

    Returns
    -------
    frames, bins : ndarray, shape (peaks,), int64
        Ordered by frame, then by bin. Empty for silence.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    >>> set(find_peaks(tone)[1].tolist()) >= {round(440 * 2048 / SAMPLE_RATE)}
    True
    """
    padded = np.pad(np.asarray(signal, np.float32), _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    blocks = (frames[start : start + _BLOCK] * window for start in range(0, len(frames), _BLOCK))
    levels = np.concatenate([np.abs(fft.rfft(block, axis=1)[:, :_BINS]) for block in blocks])
    highest = ndimage.maximum_filter(levels, size=[2 * reach + 1 for reach in _APART], mode="constant")
    return np.nonzero((levels == highest) & (levels > _FLOOR * levels.max()))


def count_frames(samples):
    """Number of frames of a signal with so many samples."""
    return 1 + samples // _HOP


def pair_peaks(frames, bins):
    """Pair each peak with the next ones of its target zone.

    Parameters
    ----------
    frames, bins
        As from `find_peaks`.

    Returns
    -------
    hashes : ndarray, shape (pairs,), uint32
        10 bits for the bin of the first peak, 8 for the difference of the bins, 6 for that of the frames.
    frames : ndarray, shape (pairs,), int64
        Of the first peak.

    Examples
    --------
    >>> hashes, frames = pair_peaks(np.array([0, 3, 90]), np.array([20, 30, 25]))   # the third peak is too late
    >>> [(int(h) >> 14, (int(h) >> 6 & 255) - 100, int(h) & 63) for h in hashes], frames.tolist()
    ([(20, 10, 3)], [0])
    """
    pairs, counts, step = [], np.zeros(len(frames), int), 1
    latest, widest = _ZONE
    while step < len(frames):
        delays, rises = frames[step:] - frames[:-step], bins[step:] - bins[:-step]
        if delays.min() > latest:
            break
        is_pair = (delays > 0) & (delays <= latest) & (np.abs(rises) <= widest) & (counts[:-step] < _FAN_OUT)
        first = np.flatnonzero(is_pair)
        counts[first] += 1
        pairs.append((bins[first] << 14 | (rises[first] + widest) << 6 | delays[first], frames[first]))
        step += 1
    hashes, starts = (np.concatenate(column) for column in zip(*pairs)) if pairs else (np.zeros(0, int),) * 2
    return hashes.astype(np.uint32), starts


class FingerprintIndex:
    """Songs that are found by their fingerprints.

    All songs lie one after the other on one line of frames. A hash is stored with its place on this line: eight bytes.

    Attributes
    ----------
    names : list of str
        In the order in which they were added. The answers do not depend on this order.
    """

    def __init__(self):
        self.names, self._lengths = [], []
        self._hashes, self._places = np.zeros(0, np.uint32), np.zeros(0, np.uint32)    # sorted by hash
        self._added = []        # not yet sorted into them

    def __len__(self):
        return len(self.names)

    @property
    def nbytes(self):
        """Size of the fingerprints in memory."""
        self._sort()
        return self._hashes.nbytes + self._places.nbytes

    def add(self, name, signal):
        """Add a song.

        Parameters
        ----------
        name : str
        signal : ndarray, shape (samples,)
            At `SAMPLE_RATE`.

        Raises
        ------
        KitError
            If there is a song of this name, or no pair of peaks in the signal, because it is silent or too short; if
            the index is full.
        """
        self.add_peaks(name, *find_peaks(signal), frames_in_all=count_frames(len(signal)))

    def add_peaks(self, name, frames, bins, *, frames_in_all):
        """`add` for the peaks of a song, as from `find_peaks`, and its number of frames."""
        if name in self.names:
            raise KitError(f"the index already holds a song {name!r}. Choose another name.")
        hashes, starts = pair_peaks(frames, bins)
        if not len(hashes):
            raise KitError(f"the song {name!r} is silent or too short: it has no pair of spectral peaks. Leave it out.")
        if sum(self._lengths) + frames_in_all > 2**32:
            raise KitError("the index is full: it holds 27,000 hours. Start a second index.")
        places = (sum(self._lengths) + starts).astype(np.uint32)
        self._added.append((hashes, places))
        self.names.append(name)
        self._lengths.append(frames_in_all)

    def _sort(self):
        if self._added:
            added = zip((self._hashes, self._places), *self._added)
            hashes, places = (np.concatenate(column) for column in added)
            order = np.argsort(hashes, kind="stable")       # merges with what is sorted already
            self._hashes, self._places, self._added = hashes[order], places[order], []

    def query(self, signal, count=5):
        """Find the songs that a recording may be from.

        Parameters
        ----------
        signal : ndarray, shape (samples,)
            At `SAMPLE_RATE`, of any length.
        count : int
            Number of songs.

        Returns
        -------
        list of Match
            In descending order of their scores, equal scores by name; without songs that share no pair.
        """
        scores, offsets = self._align(signal)
        songs = sorted(np.flatnonzero(scores), key=lambda song: (-scores[song], self.names[song]))[:count]
        return [Match(self.names[i], int(scores[i]), float(offsets[i])) for i in songs]

    def scores(self, signal):
        """The score of every song, in the order of `names`: ndarray (songs,), int64; see `query`."""
        return self._align(signal)[0]

    def _align(self, signal):
        """Each song's largest number of pairs at one offset, and this offset in seconds."""
        self._sort()
        starts = np.cumsum([0, *self._lengths])
        # in steps of 1 / _GRIDS frames; `span` keeps the offsets of one song apart from those of the next
        keys, span = [], 2 * _GRIDS * (2 + max(self._lengths, default=0) + len(signal) // _HOP)
        for grid in range(_GRIDS):
            hashes, frames = pair_peaks(*find_peaks(signal[grid * _HOP // _GRIDS :]))
            first = np.searchsorted(self._hashes, hashes)
            hits = np.searchsorted(self._hashes, hashes, side="right") - first
            rows = np.repeat(first - np.cumsum(hits) + hits, hits) + np.arange(hits.sum())
            places = self._places[rows].astype(np.int64)
            songs = np.searchsorted(starts, places, side="right") - 1
            steps = _GRIDS * (places - starts[songs] - np.repeat(frames, hits)) - grid
            keys.append(songs * span + steps + span // 2)
        keys, counts = np.unique(np.concatenate(keys), return_counts=True)
        ends = np.searchsorted(keys, keys + _WIDTH)
        sums = _sums_until(counts, ends)
        scores, offsets = np.zeros(len(self), np.int64), np.zeros(len(self))
        if len(keys):
            songs, middles = keys // span, _sums_until(counts * (keys % span), ends) / sums - span // 2
            order = np.argsort(sums, kind="stable")     # for each song the last assignment is the highest sum
            scores[songs[order]] = sums[order]
            offsets[songs[order]] = middles[order] * _HOP / _GRIDS / SAMPLE_RATE
        return scores, offsets

    def save(self, path):
        """Write the index to an ``.npz`` file, completely or not at all; KitError if that fails."""
        self._sort()
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file, format=np.array(FORMAT), names=np.array(self.names, np.str_),
                lengths=np.array(self._lengths, np.int64), hashes=self._hashes, places=self._places,
            )

    @classmethod
    def load(cls, path):
        """Read what `save` has written.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        FingerprintIndex

        Raises
        ------
        KitError
            If the file is missing or damaged, or comes from another version of the kit.
        """
        form, names, lengths, hashes, places = (
            read_npz(path, key) for key in ("format", "names", "lengths", "hashes", "places")
        )
        if form.shape != () or form != FORMAT:
            raise KitError(f"{path} comes from another version of snippetkit. Add the songs to a new index.")
        is_whole = (
            names.ndim == 1 and names.dtype.kind == "U" and len(set(names.tolist())) == len(names)
            and lengths.shape == names.shape and lengths.dtype == np.int64 and np.all(lengths > 0)
            and hashes.dtype == places.dtype == np.uint32 and hashes.shape == places.shape == (hashes.size,)
            and np.all(hashes[:-1] <= hashes[1:]) and np.all(places < lengths.sum())
        )
        if not is_whole:
            raise KitError(f"{path} is damaged: its arrays do not belong together. Add the songs to a new index.")
        index = cls()
        index.names, index._lengths = names.tolist(), lengths.tolist()
        index._hashes, index._places = hashes, places
        return index


def _sums_until(values, ends):
    """For each entry the sum from this one to the one before its end."""
    sums = np.append(0, np.cumsum(values))
    return sums[ends] - sums[:-1]
