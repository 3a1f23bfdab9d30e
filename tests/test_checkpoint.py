"""The reader of TensorFlow checkpoints, which hold Spleeter's weights: what it reads, and what it refuses."""

import subprocess

import checkpoint_writer as writer
import numpy as np
import pytest

from snippetkit.utils.errors import KitError
from snippetkit.vocals import checkpoint

SMALL = {"conv2d/kernel": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4), "global_step": np.array(7, np.int64)}
DATA = "model.data-00000-of-00001"


@pytest.fixture
def small(tmp_path):
    return writer.write(tmp_path / "2stems", SMALL)


def assert_equal_tensors(tensors, expected):
    assert sorted(tensors) == sorted(expected)
    for name, values in expected.items():
        assert tensors[name].dtype == values.dtype
        np.testing.assert_array_equal(tensors[name], values)


def flip(content, at, bits=1):
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


@pytest.mark.slow
def test_tensors_of_the_package_equal_those_that_tensorflow_reads(package_weights, spleeter_python, tmp_path):
    code = (
        "import sys, numpy as np, tensorflow as tf; reader = tf.train.load_checkpoint(sys.argv[1]); "
        "np.savez(sys.argv[2], **{name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})"
    )
    command = [spleeter_python, "-c", code, package_weights, tmp_path / "tensorflow.npz"]
    subprocess.run(command, check=True, capture_output=True)
    with np.load(tmp_path / "tensorflow.npz") as expected:
        assert len(expected.files) == 149
        assert_equal_tensors(checkpoint.read(package_weights), expected)


def test_arrays_are_read_back_and_other_entries_are_ignored(tmp_path):
    folder = writer.write(tmp_path, {**SMALL, "_CHECKPOINTABLE_OBJECT_GRAPH": b"a note of TensorFlow's to itself"})
    assert_equal_tensors(checkpoint.read(folder), SMALL)


def test_path_of_another_machine_is_ignored(small):
    (small / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/2stems/model"\n')
    assert list(checkpoint.read(small)) == sorted(SMALL)


@pytest.mark.parametrize("name", ["checkpoint", "model.index", DATA])
def test_missing_file_is_named(small, name):
    (small / name).unlink()
    with pytest.raises(KitError, match=name):
        checkpoint.read(small)


@pytest.mark.parametrize(["name", "change", "sentence"], [
    (DATA, lambda content: content[:-1], f"{DATA} is cut short: 103 bytes of 104"),
    (DATA, lambda content: flip(content, 50), "damaged: the checksum of conv2d/kernel is wrong"),
    ("model.index", lambda content: b"", "model.index is not the index"),
    ("model.index", lambda content: b"no table", "model.index is not the index"),
    ("model.index", lambda content: bytes(10_000), "model.index is not the index"),
    ("model.index", lambda content: b"\x1f\x8b" + bytes(range(256)), "model.index is not the index"),
    ("checkpoint", lambda content: b"\xff\xfe PK", "checkpoint does not name a model"),
])
def test_damaged_or_foreign_file_is_refused(small, name, change, sentence):
    (small / name).write_bytes(change((small / name).read_bytes()))
    with pytest.raises(KitError, match=sentence):
        checkpoint.read(small)


def test_index_cut_short_anywhere_is_refused(small):
    content = (small / "model.index").read_bytes()
    for length in range(len(content)):
        (small / "model.index").write_bytes(content[:length])
        with pytest.raises(KitError, match="model.index is not the index of a TensorFlow checkpoint, or is cut short"):
            checkpoint.read(small)


def test_index_damaged_anywhere_is_refused_or_read_correctly(small):
    content, refused = (small / "model.index").read_bytes(), 0
    for at in range(len(content)):
        for bits in (0x01, 0x80, 0xFF):
            (small / "model.index").write_bytes(flip(content, at, bits))
            try:
                tensors = checkpoint.read(small)
            except KitError:
                refused += 1
            else:   # the byte is padding, or belongs to the table of filters, which is not needed
                assert list(tensors) == sorted(SMALL)
    assert refused > len(content)


@pytest.mark.parametrize(["options", "sentence"], [
    ({"extra": b"\x3a\x00"}, "kept in slices"), ({"compression": 1}, "a block is compressed"),
])
def test_unsupported_features_of_the_format_are_refused(tmp_path, options, sentence):
    with pytest.raises(KitError, match=sentence):
        checkpoint.read(writer.write(tmp_path, SMALL, **options))


def test_other_weights_have_another_fingerprint(small, tmp_path):
    same = writer.write(tmp_path / "same", SMALL)
    other = writer.write(tmp_path / "other", {**SMALL, "conv2d/kernel": SMALL["conv2d/kernel"] + 1})
    assert checkpoint.fingerprint(small) == checkpoint.fingerprint(same) != checkpoint.fingerprint(other)
