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


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 134, 250, unet.SIGHT])
def test_silence_to_the_end_need_not_be_computed(masks, frames):
    silence = masks.vocals.silent_columns(), masks.accompaniment.silent_columns()
    magnitude = magnitudes(frames)
    whole = masks(functional.pad(magnitude, (0, 0, 0, unet.FRAMES - frames)))[:, :, :frames]
    short = masks(magnitude, silence)
    assert whole.std() > 0.1
    assert (whole - short).abs().max() < 1e-6


def test_longer_sound_comes_into_sight_of_the_border(masks):
    frames = 500
    silence = masks.vocals.silent_columns(), masks.accompaniment.silent_columns()
    magnitude = magnitudes(frames)
    whole = masks(functional.pad(magnitude, (0, 0, 0, unet.FRAMES - frames)))[:, :, :frames]
    assert (whole - masks(magnitude, silence)).abs().max() > 1e-3


@pytest.mark.slow
def test_every_batch_norm_matters_but_the_innermost():
    tensors = writer.random_tensors()
    reference = unet.build_masks(tensors)(magnitudes(64))
    # the innermost batch norm of each net leads nowhere, in Spleeter as well
    unused = {"batch_normalization_5/beta", "batch_normalization_17/beta"}
    for name in [name for name in tensors if name.endswith("/beta")]:
        changed = unet.build_masks({**tensors, name: tensors[name] + 1})(magnitudes(64))
        assert torch.equal(changed, reference) == (name in unused), name


def test_missing_tensors_are_named():
    tensors = writer.random_tensors()
    del tensors["conv2d_13/kernel"]
    with pytest.raises(KitError, match="not the weights of Spleeter's 2-stems model: they lack conv2d_13/kernel"):
        unet.build_masks(tensors)


def test_a_model_of_more_stems_is_refused():
    more = writer.random_tensors(**{"conv2d_14/kernel": np.zeros((5, 5, 2, 16), np.float32)})
    with pytest.raises(KitError, match="conv2d_14/kernel belong to a model of more stems"):
        unet.build_masks(more)


@pytest.mark.parametrize("value", [np.zeros((5, 5, 2, 17), np.float32), np.full((5, 5, 2, 16), np.nan, np.float32)])
def test_tensors_of_another_model_are_refused(value):
    with pytest.raises(KitError, match="of another shape, or NaN, are conv2d_7/kernel"):
        unet.build_masks(writer.random_tensors(**{"conv2d_7/kernel": value}))


def test_silence_is_masked_by_halves_and_nothing_is_divided_by_zero(masks):
    silent = masks(torch.zeros(1, 2, 64, unet.BINS))
    assert torch.equal(silent, torch.full_like(silent, 0.5))
