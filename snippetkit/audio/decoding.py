"""Decode a sound file to its end, whatever its header says about its length.

Most of it is about MP3s. libsndfile recognises an MP3 by its first bytes and fails at a kilobyte of other bytes. It
decodes as many frames as the tag in the first frame counts; without a count it guesses from the size of that frame. So
only the frames are given to it, behind a tag that counts them.
"""

import io
import math
import re

import numpy as np
import soundfile

_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")  # how a frame of layer III begins
_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)   # of MPEG-1
_LOW_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)   # of MPEG-2 and MPEG-2.5
_RATES = (44_100, 48_000, 32_000, 0)    # Hz, of MPEG-1
_DECODER_DELAY = 529    # samples that libsndfile leaves out at the start if a tag counts the frames
_BLOCK = 2**20          # samples


def decode(stream, longest=None):
    """Decode a sound file.

    Parameters
    ----------
    stream : binary file, at its start
        In any format that libsndfile reads.
    longest : float or None
        Seconds after which decoding stops.

    Returns
    -------
    signal : ndarray, shape (samples, channels), float32
    rate : int
        In Hz.

    Raises
    ------
    soundfile.LibsndfileError
        If it cannot be decoded.
    """
    with _open(stream) as file:
        left, blocks = math.inf if longest is None else round(longest * file.samplerate), []
        # In blocks, because a header may state any length.
        while not blocks or left and len(blocks[-1]) == _BLOCK:
            blocks.append(file.read(min(left, _BLOCK), dtype="float32", always_2d=True))
            left -= len(blocks[-1])
        return np.concatenate(blocks), file.samplerate


def _open(stream):
    try:
        file = soundfile.SoundFile(stream)
        if file.format != "MP3":
            return file
    except soundfile.LibsndfileError:
        pass    # it may be an MP3 behind other bytes
    stream.seek(0)
    data = stream.read()
    frames = list(_frames(data))
    return soundfile.SoundFile(io.BytesIO(b"".join(_counted(frames)) if frames else data))


def _frames(data):
    """The frames of an MP3, each as bytes; none if it has no frames of layer III."""
    start = 0
    while start < len(data):
        size = _frame_size(data, start)
        if not size:    # other bytes
            starts = (match.start() for match in _SYNC.finditer(data, start))
            start = next((start for start in starts if _is_chain(data, start)), len(data))
            continue
        yield data[start : start + size]
        start += size


def _counted(frames):
    """The frames behind a tag that counts them."""
    first = frames[0]
    is_mpeg1, is_mono = _is_mpeg1(first), first[3] >> 6 == 3
    offset = 4 + ((17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17))  # behind the side information
    is_tag = first[offset : offset + 4] in (b"Xing", b"Info")
    if is_tag and first[offset + 7] & 1 and any(first[offset + 8 : offset + 12]):
        return frames
    if is_tag or first[36:40] == b"VBRI":
        frames = frames[1:]
    header = bytes([0xFF, first[1] | 1, first[2] & 0x0C | 0x90, first[3]])  # no checksum, and room for the tag
    empty = header.ljust(_frame_size(header, 0), b"\0")
    # The decoder leaves out the empty frame that follows the tag, since the encoder's delay and its own are as long.
    delay = (1152 if is_mpeg1 else 576) - _DECODER_DELAY
    tag = b"Xing" + (1).to_bytes(4, "big") + (len(frames) + 1).to_bytes(4, "big")
    tag += b"LAME".ljust(21) + (delay << 12).to_bytes(3, "big")
    return [(header.ljust(offset, b"\0") + tag).ljust(len(empty), b"\0"), empty, *frames]


def _is_chain(data, start, *, frames=3):
    """Whether some frames follow each other from here, or fewer until the end of the file."""
    for _ in range(frames):
        size = _frame_size(data, start)
        start += size
        if not size or start >= len(data):
            return size > 0
    return True


def _frame_size(data, start):
    """Bytes of the frame that begins here; 0 if none does."""
    header = data[start : start + 4]
    if len(header) < 4 or not _SYNC.match(header):
        return 0
    is_mpeg1 = _is_mpeg1(header)
    kbps = (_KBPS if is_mpeg1 else _LOW_KBPS)[header[2] >> 4]
    rate = _RATES[header[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[header[1] >> 3 & 3]
    return (144 if is_mpeg1 else 72) * 1000 * kbps // rate + (header[2] >> 1 & 1) if kbps and rate else 0


def _is_mpeg1(header):
    return header[1] >> 3 & 3 == 3
