"""Read a TensorFlow checkpoint, as Spleeter publishes its weights, without TensorFlow.

Three files: ``checkpoint`` names the other two, ``model.index`` is a table of the tensors, and
``model.data-00000-of-00001`` contains their values. `unet` gives the tensors their meaning.

The format is TensorFlow's "tensor bundle" (tensorflow/core/protobuf/tensor_bundle.proto) in a LevelDB table
(doc/table_format.md in its sources) with uncompressed blocks.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from ..utils.artifacts import digest
from ..utils.errors import KitError, listed

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48            # bytes: two block handles, zeros, the magic number
_BLOCK_TRAILER = 5      # bytes after a block: how it is compressed, its checksum
_DTYPES = {1: "<f4", 3: "<i4", 9: "<i8"}    # of TensorFlow's DataType: weights and step counts

_AGAIN = "Delete that folder of weights and fetch them again."


class _Foreign(Exception):
    """The bytes violate the format; the text says how."""


@dataclass(frozen=True)
class _Entry:
    """Position of a tensor in the data file."""

    dtype: str
    shape: tuple
    offset: int
    size: int
    checksum: int


def read(folder):
    """Read all tensors of the checkpoint in a folder.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    dict
        Name to ndarray, read-only.

    Raises
    ------
    KitError
        If a file is missing, cut short, damaged or of another kind; the text names it.
    """
    index, data = files(folder)
    entries = _entries(index)
    numbers = _bytes(data)
    expected = max((entry.offset + entry.size for entry in entries.values()), default=0)
    if len(numbers) < expected:
        raise KitError(f"{data} is cut short: {len(numbers):,} bytes of {expected:,}. {_AGAIN}")
    return {name: _tensor(name, entry, numbers, data) for name, entry in entries.items()}


def fingerprint(folder):
    """Twelve hexadecimal digits that identify a set of weights.

    The index suffices: it contains a checksum of every tensor.

    Raises
    ------
    KitError
        If a file is missing.
    """
    index, _ = files(folder)
    return digest(_bytes(index).hex())


def files(folder):
    """The index and the data that the file ``checkpoint`` names.

    Returns
    -------
    list of Path

    Raises
    ------
    KitError
        If one of the three is missing.
    """
    folder = Path(folder)
    note = folder / "checkpoint"
    named = re.search(r'^model_checkpoint_path: "(.+)"\s*$', _bytes(note).decode(errors="replace"), re.MULTILINE)
    if not named:
        raise KitError(f"{note} does not name a model: it is not part of a TensorFlow checkpoint.")
    # Only the name: the path is that of the machine where the checkpoint was made.
    stem = re.split(r"[/\\]", named[1])[-1]
    both = [folder / f"{stem}.index", folder / f"{stem}.data-00000-of-00001"]
    missing = [path.name for path in both if not path.is_file()]
    if missing:
        raise KitError(f"{folder} lacks {listed(missing)}, which its file checkpoint names. {_AGAIN}")
    return both


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror or error}.") from error


def _entries(path):
    """The entries of the index by name."""
    table = _bytes(path)
    try:
        if len(table) < _FOOTER or struct.unpack_from("<Q", table, len(table) - 8)[0] != _MAGIC:
            raise _Foreign("it does not end as an index does")
        footer = table[-_FOOTER:]
        _, after_metaindex = _handle(footer, 0)
        root, _ = _handle(footer, after_metaindex)
        blocks = [_handle(handle, 0)[0] for _, handle in _pairs(_block(table, root))]
        entries = dict(pair for block in blocks for pair in _pairs(_block(table, block)))
        header = _message(entries.pop(b"", b""))
        if header.get(1) != 1 or header.get(2, 0) != 0:
            raise _Foreign("its numbers are in several files, or big-endian")
        entries = {name.decode(): _entry(name.decode(), message) for name, message in entries.items()}
        return {name: entry for name, entry in entries.items() if entry}
    except (_Foreign, IndexError, struct.error, UnicodeDecodeError) as error:
        what = error if isinstance(error, _Foreign) else "it is damaged inside"
        raise KitError(
            f"{path} is not the index of a TensorFlow checkpoint, or is cut short: {what}. {_AGAIN}"
        ) from None


def _block(table, handle):
    offset, size = handle
    if offset + size + _BLOCK_TRAILER > len(table) - _FOOTER:
        raise _Foreign("a block reaches beyond its end")
    compression, checksum = struct.unpack_from("<BI", table, offset + size)
    if _masked(table[offset : offset + size + 1]) != checksum:
        raise _Foreign("the checksum of a block is wrong")
    if compression:
        raise _Foreign("a block is compressed")
    return table[offset : offset + size]


def _pairs(block):
    """Keys and values of a block; a key omits the prefix that it shares with the one before."""
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _handle(data, at):
    """Offset and size of a block, and the next position."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data, at):
    """A number of seven bits per byte, lowest first, and the next position."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _message(data):
    """The fields of a protobuf message: number to value; a list for length-delimited fields, which may repeat."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif tag & 7 == 5:
            (value,) = struct.unpack_from("<I", data, at)
            at += 4
        else:
            raise _Foreign(f"a field of the unknown kind {tag & 7}")
        fields[tag >> 3] = value if tag & 7 != 2 else [*fields.get(tag >> 3, []), value]
    return fields


def _entry(name, message):
    """A BundleEntryProto: dtype 1, shape 2 (dimensions 2, each with its size 1), offset 4, size 5, checksum 6.

    None for entries that are not numeric arrays, such as TensorFlow's own metadata.
    """
    fields = _message(message)
    if fields.get(1) not in _DTYPES:
        return None
    if 7 in fields or fields.get(3, 0):
        raise _Foreign(f"{name} is kept in slices")
    dimensions = _message(fields[2][0]).get(2, []) if 2 in fields else []
    entry = _Entry(
        dtype=_DTYPES[fields[1]],
        shape=tuple(_message(dimension).get(1, 0) for dimension in dimensions),
        offset=fields.get(4, 0),
        size=fields.get(5, 0),
        checksum=fields.get(6, 0),
    )
    if int(np.prod(entry.shape)) * np.dtype(entry.dtype).itemsize != entry.size:
        raise _Foreign(f"{name} does not have the size of its shape")
    return entry


def _tensor(name, entry, numbers, path):
    raw = memoryview(numbers)[entry.offset : entry.offset + entry.size]
    if _masked(bytes(raw)) != entry.checksum:
        raise KitError(f"{path} is damaged: the checksum of {name} is wrong. {_AGAIN}")
    return np.frombuffer(raw, entry.dtype).reshape(entry.shape)


def _masked(data):
    """LevelDB's masked CRC-32C: rotated, plus a constant."""
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
