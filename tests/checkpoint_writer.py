"""Write weights in the format that Spleeter's are published in, for tests that need some and not the package itself."""

import struct

import google_crc32c
import numpy as np

from snippetkit.vocals import unet

_DTYPES = {"float32": 1, "int32": 3, "object": 7, "int64": 9}


def random_tensors(**changed):
    """Every tensor of the 2-stems model by its name there, random; further ones, or others instead, by keyword."""
    generator = np.random.default_rng(0)
    tensors = {"global_step": np.array(1, np.int64)}
    for name, tensor in unet.Masks().state_dict().items():
        if tensor.ndim == 0:
            continue
        shape = tensor.permute(2, 3, 1, 0).shape if tensor.ndim == 4 else tensor.shape
        values = generator.normal(size=shape) * (np.sqrt(2 / np.prod(shape[:3])) if tensor.ndim == 4 else 0.3)
        if name.endswith("running_var"):
            values = np.abs(values) + 0.5
        tensors[unet.spleeter_name(name)] = values.astype(np.float32)
    return {**tensors, **changed}


def write(folder, tensors, *, extra=b"", compression=0):
    """The three files of a checkpoint; `extra` goes into every entry, `compression` is what the blocks claim to be."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, numbers = {b"": b"\x08\x01\x1a\x02\x08\x01"}, b""
    for name, values in sorted(tensors.items()):
        values = np.array(values, object if isinstance(values, bytes) else None)
        raw = values.item() if values.dtype == object else values.tobytes()
        dimensions = b"".join(_field(2, _number(1, size)) for size in values.shape)
        entries[name.encode()] = (
            _number(1, _DTYPES[values.dtype.name]) + _field(2, dimensions) + _number(4, len(numbers))
            + _number(5, len(raw)) + b"\x35" + struct.pack("<I", _masked(raw)) + extra
        )
        numbers += raw
    (folder / "model.data-00000-of-00001").write_bytes(numbers)
    (folder / "model.index").write_bytes(_table(entries, compression))
    (folder / "checkpoint").write_text('model_checkpoint_path: "model"\nall_model_checkpoint_paths: "model"\n')
    return folder


def _table(entries, compression):
    table, places = b"", []
    for block in (_block(entries), _block({})):
        places.append(_varint(len(table)) + _varint(len(block)))
        table += _closed(block, compression)
    index = _block({b"~": places[0]})
    handles = places[1] + _varint(len(table)) + _varint(len(index))
    return table + _closed(index, compression) + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _block(entries):
    pairs = b"".join(b"\0" + _varint(len(key)) + _varint(len(value)) + key + value for key, value in entries.items())
    return pairs + struct.pack("<II", 0, 1)


def _closed(block, compression):
    block += bytes([compression])
    return block + struct.pack("<I", _masked(block))


def _field(number, content):
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(field, value):
    return bytes([field << 3]) + _varint(value)


def _varint(value):
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + _varint(value >> 7)


def _masked(data):
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
