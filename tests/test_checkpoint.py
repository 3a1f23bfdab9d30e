import subprocess

import checkpoint_writer as writer
import numpy as np
import pytest

from snippetkit.utils.errors import KitError
from snippetkit.vocals import checkpoint

SMALL = {"conv2d/kernel": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4), "global_step": np.array(7, np.int64)}


@pytest.fixture
def small(tmp_path):
    return writer.write(tmp_path / "2stems", SMALL)


@pytest.mark.slow
def test_every_tensor_of_the_package_is_read_as_tensorflow_reads_it(package_weights, spleeter_python, tmp_path):
    code = (
        "import sys, numpy as np, tensorflow as tf; reader = tf.train.load_checkpoint(sys.argv[1]); "
        "np.savez(sys.argv[2], **{name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})"
    )
    command = [spleeter_python, "-c", code, package_weights, tmp_path / "theirs.npz"]
    subprocess.run(command, check=True, capture_output=True)
    ours = checkpoint.read(package_weights)
    with np.load(tmp_path / "theirs.npz") as theirs:
        assert sorted(ours) == sorted(theirs.files) and len(ours) == 149
        for name in theirs.files:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_names_shapes_and_numbers_come_back(small):
    tensors = checkpoint.read(small)
    assert list(tensors) == sorted(SMALL)
    for name, values in SMALL.items():
        np.testing.assert_array_equal(tensors[name], values)
        assert tensors[name].dtype == values.dtype


def test_what_is_no_array_of_numbers_is_passed_over(tmp_path):
    folder = writer.write(tmp_path, {**SMALL, "_CHECKPOINTABLE_OBJECT_GRAPH": b"a note of TensorFlow's to itself"})
    assert list(checkpoint.read(folder)) == sorted(SMALL)


@pytest.mark.parametrize("name", ["checkpoint", "model.index", "model.data-00000-of-00001"])
def test_a_missing_file_is_named(small, name):
    (small / name).unlink()
    with pytest.raises(KitError, match=name):
        checkpoint.read(small)


def test_numbers_that_are_cut_short_are_refused(small):
    data = small / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(KitError, match="model.data-00000-of-00001 is cut short: 103 bytes of 104"):
        checkpoint.read(small)


def test_a_flipped_bit_among_the_numbers_names_the_tensor(small):
    data = small / "model.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[50] ^= 1
    data.write_bytes(content)
    with pytest.raises(KitError, match="damaged: the checksum of conv2d/kernel is wrong"):
        checkpoint.read(small)


def test_an_index_cut_short_anywhere_is_refused(small):
    index = small / "model.index"
    content = index.read_bytes()
    for length in range(len(content)):
        index.write_bytes(content[:length])
        with pytest.raises(KitError, match="model.index is not the index of a TensorFlow checkpoint, or is cut short"):
            checkpoint.read(small)


def test_an_index_damaged_anywhere_is_refused_or_says_the_same(small):
    index = small / "model.index"
    content = index.read_bytes()
    refused = 0
    for at in range(len(content)):
        for value in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[at] ^= value
            index.write_bytes(damaged)
            try:
                tensors = checkpoint.read(small)
            except KitError:
                refused += 1
            else:  # a zero that only fills up, or the place of the table of filters, which nobody needs
                assert list(tensors) == sorted(SMALL)
    assert refused > len(content)


@pytest.mark.parametrize("content", [b"", b"no table", bytes(10_000), b"\x1f\x8b" + bytes(range(256))])
def test_a_foreign_index_is_refused(small, content):
    (small / "model.index").write_bytes(content)
    with pytest.raises(KitError, match="model.index is not the index"):
        checkpoint.read(small)


def test_a_foreign_note_is_refused(small):
    (small / "checkpoint").write_bytes(b"\xff\xfe PK")
    with pytest.raises(KitError, match="checkpoint does not name a model"):
        checkpoint.read(small)


def test_the_path_of_another_machine_does_not_matter(small):
    (small / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/2stems/model"\n')
    assert list(checkpoint.read(small)) == sorted(SMALL)


def test_what_this_reader_does_not_know_is_refused(tmp_path):
    with pytest.raises(KitError, match="kept in slices"):
        checkpoint.read(writer.write(tmp_path, SMALL, extra=b"\x3a\x00"))
    with pytest.raises(KitError, match="a block is compressed"):
        checkpoint.read(writer.write(tmp_path, SMALL, compression=1))


def test_other_weights_have_another_fingerprint(small, tmp_path):
    same = writer.write(tmp_path / "same", SMALL)
    other = writer.write(tmp_path / "other", {**SMALL, "conv2d/kernel": SMALL["conv2d/kernel"] + 1})
    assert checkpoint.fingerprint(small) == checkpoint.fingerprint(same) != checkpoint.fingerprint(other)
