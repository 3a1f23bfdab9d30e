from pathlib import Path

import pytest
import torch

from snippetkit.utils import hardware
from snippetkit.utils.errors import KitError

has_gpu = torch.cuda.is_available()


@pytest.mark.skipif(has_gpu or not Path("/proc/cpuinfo").exists(), reason="a GPU is here, or no list of CPU flags")
def test_without_a_gpu_the_cpu_computes_in_what_it_has_units_for():
    (device,) = hardware.find_devices()
    assert device.name == "cpu" and device.precision in ("fp32", "bf16")
    flags = set(Path("/proc/cpuinfo").read_text().split())
    assert (device.precision == "bf16") == bool(flags & {"avx512_bf16", "amx_bf16"})


@pytest.mark.skipif(has_gpu, reason="a GPU is here, so the CPU is not chosen")
def test_a_precision_that_is_asked_for_is_taken_or_refused():
    assert hardware.find_devices("fp32")[0].precision == "fp32"
    with pytest.raises(KitError, match="precision=fp16 needs a GPU"):
        hardware.find_devices("fp16")


def test_autocast_does_what_the_precision_says():
    layer = torch.nn.Linear(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        device = hardware.Device("cpu", "CPU", precision)
        with device.autocast():
            assert layer(torch.zeros(1, 4)).dtype == dtype
    assert hardware.Device("cpu", "CPU", "fp32").memory_format == torch.contiguous_format


@pytest.mark.skipif(has_gpu, reason="the GPU here would answer for itself")
def test_a_gpu_that_says_yes_and_then_fails_is_a_sentence(monkeypatch):
    # what a P100 does under a torch without kernels for it: simulated, since such a card is rarely at hand
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla P100")
    with pytest.raises(KitError, match=r"GPU 0 \(Tesla P100\) cannot run torch .*T4 x2.*CUDA_VISIBLE_DEVICES"):
        hardware.find_devices()


@pytest.mark.skipif(not has_gpu, reason="there is no GPU here")
def test_every_gpu_is_found():
    devices = hardware.find_devices()
    assert [device.name for device in devices] == [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    assert all(device.precision in ("bf16", "fp16") for device in devices)
