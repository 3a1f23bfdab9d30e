"""The devices of this machine and the precision that each computes in, checked with one real operation.

`torch.cuda.is_available()` is not enough: it is true for a GPU that the installed torch has no kernels for.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from .errors import KitError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A device that members are trained on.

    Attributes
    ----------
    name : str
        As in torch: 'cpu', 'cuda:0'.
    title : str
        For messages.
    precision : str
        'fp32', 'bf16' or 'fp16', for convolutions and matrix products. Weights are always float32.
    """

    name: str
    title: str
    precision: str

    @property
    def kind(self):
        return torch.device(self.name).type

    @property
    def memory_format(self):
        # channels_last is faster in half precision; fp32 keeps torch's default.
        return torch.contiguous_format if self.precision == "fp32" else torch.channels_last

    def autocast(self):
        """The context in which a network runs forward."""
        return torch.autocast(self.kind, _DTYPES[self.precision], enabled=self.precision != "fp32")


def find_devices(precision="auto"):
    """Find all GPUs, or the CPU if there are none.

    Parameters
    ----------
    precision : str
        'auto' means bf16 on GPUs with compute capability 8 or higher and on CPUs with bf16 units, fp16 on older GPUs,
        and fp32 on other CPUs.

    Returns
    -------
    list of Device

    Raises
    ------
    KitError
        If a GPU cannot run a convolution, or precision is fp16 and there is no GPU.
    """
    if not torch.cuda.is_available():
        if precision == "fp16":
            raise KitError("precision=fp16 needs a GPU, and there is none. Choose bf16, fp32 or auto.")
        if precision == "auto":
            precision = "bf16" if _cpu_has_bf16() else "fp32"
        return [Device("cpu", f"CPU, {torch.get_num_threads()} threads", precision)]
    return [_gpu(index, precision) for index in range(torch.cuda.device_count())]


def _gpu(index, precision):
    name = f"cuda:{index}"
    title = torch.cuda.get_device_name(index)
    try:
        layer = torch.nn.Conv2d(1, 8, 3, device=name)
        layer(torch.zeros(1, 1, 8, 8, device=name)).sum().item()
    except (RuntimeError, AssertionError) as error:
        raise KitError(
            f"GPU {index} ({title}) cannot run torch {torch.__version__}: {str(error).splitlines()[0]} "
            "On Kaggle choose the accelerator GPU T4 x2; elsewhere hide the GPU with CUDA_VISIBLE_DEVICES=''."
        ) from error
    if precision == "auto":
        precision = "bf16" if torch.cuda.get_device_capability(index) >= (8, 0) else "fp16"
    return Device(name, title, precision)


def _cpu_has_bf16():
    # Read from the kernel, because torch has public functions for this only in newer versions.
    flags = Path("/proc/cpuinfo")
    return flags.exists() and bool({"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()))
