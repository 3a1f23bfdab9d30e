"""The U-Nets: batch norms, weights that are refused, and the masks of silence."""

import checkpoint_writer as writer
import numpy as np
import pytest
import torch
from torch.nn import functional

from snippetkit.utils.errors import KitError
from snippetkit.vocals import unet


@pytest.fixture(scope="module")
def masks():
    return unet.build_masks(writer.random_tensors())


def magnitudes(frames):
    return 5 * torch.rand(1, 2, frames, unet.BINS, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 134, 250, unet.SIGHT, 500])
def test_silence_need_not_be_computed_unless_the_end_of_the_segment_comes_into_sight(masks, frames):
    silence = masks.vocals.silent_columns(), masks.accompaniment.silent_columns()
    magnitude = magnitudes(frames)
    whole = masks(functional.pad(magnitude, (0, 0, 0, unet.FRAMES - frames)))[:, :, :frames]
    deviation = (whole - masks(magnitude, silence)).abs().max()
    assert whole.std() > 0.1
    assert deviation < 1e-6 if frames <= unet.SIGHT else deviation > 1e-3


@pytest.mark.slow
def test_every_batch_norm_matters_but_the_innermost():
    tensors = writer.random_tensors()
    reference = unet.build_masks(tensors)(magnitudes(64))
    # the innermost batch norm of each net leads nowhere, in Spleeter as well
    unused = {"batch_normalization_5/beta", "batch_normalization_17/beta"}
    for name in [name for name in tensors if name.endswith("/beta")]:
        changed = unet.build_masks({**tensors, name: tensors[name] + 1})(magnitudes(64))
        assert torch.equal(changed, reference) == (name in unused), name


@pytest.mark.parametrize("name, value, message", [
    ("conv2d_13/kernel", None, "they lack conv2d_13/kernel"),
    ("conv2d_14/kernel", np.zeros((5, 5, 2, 16), np.float32), "conv2d_14/kernel belong to a model of more stems"),
    ("conv2d_7/kernel", np.zeros((5, 5, 2, 17), np.float32), "wrong shape, NaN or infinity in conv2d_7/kernel"),
    ("conv2d_7/kernel", np.full((5, 5, 2, 16), np.nan, np.float32), "wrong shape, NaN or infinity in conv2d_7/kernel"),
])
def test_weights_of_another_model_are_refused(name, value, message):
    tensors = writer.random_tensors(**{name: value})
    if value is None:
        del tensors[name]
    with pytest.raises(KitError, match=f"not the weights of Spleeter's 2-stems model: {message}"):
        unet.build_masks(tensors)


def test_silence_is_masked_by_halves_and_nothing_is_divided_by_zero(masks):
    silent = masks(torch.zeros(1, 2, 64, unet.BINS))
    assert torch.equal(silent, torch.full_like(silent, 0.5))
