"""Read a TensorFlow checkpoint, as Spleeter publishes its weights, without TensorFlow.

Three files: ``checkpoint`` names the other two, ``model.index`` is a table of the tensors, and
``model.data-00000-of-00001`` contains their values. `unet` gives the tensors their meaning.

The format is TensorFlow's "tensor bundle" (tensorflow/core/protobuf/tensor_bundle.proto) in a LevelDB table
(doc/table_format.md in its sources) with uncompressed blocks.
"""

import io
import re
import struct
from collections import namedtuple
from pathlib import Path

import google_crc32c
import numpy as np

from ..utils.artifacts import digest
from ..utils.errors import KitError, listed, report_os_error

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER = 48            # bytes: two block handles, zeros, the magic number
_BLOCK_TRAILER = 5      # bytes after a block: how it is compressed, its checksum
_DTYPES = {1: "<f4", 3: "<i4", 9: "<i8"}    # of TensorFlow's DataType: weights and step counts

# Position of a tensor in the data file.
_Entry = namedtuple("_Entry", "dtype shape offset size checksum")

_AGAIN = "Delete that folder of weights and fetch them again."


class _Foreign(Exception):
    """The bytes violate the format; the text says how."""


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
    return read_pair(*files(folder))


def read_pair(index, data):
    """Read all tensors of a checkpoint whose index and data are known, as `read`.

    Parameters
    ----------
    index, data : Path
    """
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
    with report_os_error(f"{path} cannot be read"):
        return path.read_bytes()


def _entries(path):
    """The entries of the index by name."""
    table = _bytes(path)
    try:
        if not table.endswith(_MAGIC):
            raise _Foreign("it does not end as an index does")
        footer = io.BytesIO(table[-_FOOTER:])
        _handle(footer)     # of the table of filters, which is not needed
        blocks = [_handle(io.BytesIO(handle)) for _, handle in _pairs(_block(table, _handle(footer)))]
        messages = dict(pair for block in blocks for pair in _pairs(_block(table, block)))
        header = _message(messages.pop(b"", b""))
        if header.get(1) != 1 or header.get(2, 0) != 0:
            raise _Foreign("its numbers are in several files, or big-endian")
        entries = {name.decode(): _message(message) for name, message in messages.items()}
        # The others, such as TensorFlow's own metadata, are no numeric arrays.
        return {name: _entry(name, fields) for name, fields in entries.items() if fields.get(1) in _DTYPES}
    except (_Foreign, IndexError, OverflowError, struct.error, UnicodeDecodeError) as error:
        reason = error if isinstance(error, _Foreign) else "it is damaged inside"
        problem = f"{path} is not the index of a TensorFlow checkpoint, or is cut short"
        raise KitError(f"{problem}: {reason}. {_AGAIN}") from None


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
    stream, key = io.BytesIO(block), b""
    while stream.tell() < end:
        shared, own, length = _varint(stream), _varint(stream), _varint(stream)
        key = key[:shared] + stream.read(own)
        yield key, stream.read(length)


def _handle(stream):
    """Offset and size of a block."""
    return _varint(stream), _varint(stream)


def _varint(stream):
    """A number of seven bits per byte, lowest first."""
    number = shift = 0
    while (byte := stream.read(1)[0]) >= 0x80:
        number |= (byte & 0x7F) << shift
        shift += 7
    return number | byte << shift


def _message(data):
    """The fields of a protobuf message: number to value; a list for length-delimited fields, which may repeat."""
    fields, stream = {}, io.BytesIO(data)
    while stream.tell() < len(data):
        number, kind = divmod(_varint(stream), 8)
        if kind == 0:
            fields[number] = _varint(stream)
        elif kind == 2:
            fields.setdefault(number, []).append(stream.read(_varint(stream)))
        elif kind == 5:
            (fields[number],) = struct.unpack("<I", stream.read(4))
        else:
            raise _Foreign(f"a field of the unknown kind {kind}")
    return fields


def _entry(name, fields):
    """A BundleEntryProto: dtype 1, shape 2 (dimensions 2, each with its size 1), offset 4, size 5, checksum 6."""
    if 7 in fields or fields.get(3, 0):
        raise _Foreign(f"{name} is kept in slices")
    dimensions = _message(fields[2][0]).get(2, []) if 2 in fields else []
    shape = tuple(_message(dimension).get(1, 0) for dimension in dimensions)
    offset, size, checksum = (fields.get(number, 0) for number in (4, 5, 6))
    entry = _Entry(_DTYPES[fields[1]], shape, offset, size, checksum)
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
