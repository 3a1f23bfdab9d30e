"""The devices that are found, and the precision of each."""

from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from snippetkit.utils import hardware
from snippetkit.utils.errors import KitError

HAS_GPU = torch.cuda.is_available()


@pytest.mark.skipif(HAS_GPU or not Path("/proc/cpuinfo").exists(), reason="a GPU, or no list of CPU flags")
def test_cpu_uses_bf16_if_it_has_units_for_it_unless_another_precision_is_requested():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    (device,) = hardware.find_devices()
    assert (device.name, device.precision) == ("cpu", "bf16" if flags & {"avx512_bf16", "amx_bf16"} else "fp32")
    assert hardware.find_devices("fp32")[0].precision == "fp32"
    with pytest.raises(KitError, match="precision=fp16 needs a GPU"):
        hardware.find_devices("fp16")


@pytest.mark.parametrize("precision, dtype, memory_format", [
    ("fp32", torch.float32, torch.contiguous_format), ("bf16", torch.bfloat16, torch.channels_last),
])
def test_autocast_computes_in_the_precision_of_the_device(precision, dtype, memory_format):
    device = hardware.Device("cpu", "CPU", precision)
    with device.autocast():
        assert torch.nn.Linear(4, 4)(torch.zeros(1, 4)).dtype == dtype
    assert device.memory_format == memory_format


@pytest.mark.skipif(HAS_GPU, reason="the GPU of this machine would be used")
def test_gpu_without_kernels_in_this_torch_is_refused(monkeypatch):
    # simulates a P100 with a torch that has no kernels for it
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla P100")
    with pytest.raises(KitError, match=r"GPU 0 \(Tesla P100\) cannot run torch .*T4 x2.*CUDA_VISIBLE_DEVICES"):
        hardware.find_devices()


@pytest.mark.skipif(not HAS_GPU, reason="there is no GPU")
def test_every_gpu_is_found():
    devices = hardware.find_devices()
    assert [device.name for device in devices] == [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    assert all(device.precision in ("bf16", "fp16") for device in devices)


def test_a_build_of_torch_for_the_cpu_is_kept_by_the_requirements():
    """Its version has a label; a requirement that excluded it would make pip fetch CUDA's libraries after all."""
    lines = (Path(__file__).parents[1] / "requirements.txt").read_text().splitlines()
    for name in ("torch", "torchvision"):
        [requirement] = [Requirement(line) for line in lines if line.split(">")[0] == name]
        assert requirement.specifier.contains("2.14.1+cpu" if name == "torch" else "0.29.1+cpu")


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built with CUDA; all tests run with either")
def test_a_build_of_torch_for_the_cpu_is_found():
    assert [device.name for device in hardware.find_devices()] == ["cpu"]
