"""Which devices a run may use and in which precision each of them computes; found out by one real operation.

`torch.cuda.is_available()` alone is no answer: a GPU that this torch has no kernels for says yes and then fails.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from .errors import KitError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """Where a member is trained.

    Attributes
    ----------
    name : str
        As torch spells it: 'cpu', 'cuda:0'.
    title : str
        For people.
    precision : str
        'fp32', 'bf16' or 'fp16': what convolutions and matrix products are computed in; weights stay float32.
    """

    name: str
    title: str
    precision: str

    @property
    def kind(self):
        return torch.device(self.name).type

    @property
    def memory_format(self):
        # Half precision wants the channels last; in fp32 the plain path stays as people know it.
        return torch.contiguous_format if self.precision == "fp32" else torch.channels_last

    def autocast(self):
        """The context in which a network runs forward."""
        return torch.autocast(self.kind, _DTYPES[self.precision], enabled=self.precision != "fp32")


def find_devices(precision="auto"):
    """All GPUs, or the CPU where there is none.

    Parameters
    ----------
    precision : str
        'auto' takes bf16 on GPUs from compute capability 8 on and on CPUs with bf16 units, fp16 on older GPUs, and
        fp32 on other CPUs.

    Returns
    -------
    list of Device

    Raises
    ------
    KitError
        If a GPU is there and cannot run a convolution, or fp16 is asked for on a CPU.
    """
    if not torch.cuda.is_available():
        if precision == "fp16":
            raise KitError("precision=fp16 needs a GPU, and none is there; choose bf16, fp32 or auto.")
        chosen = precision if precision != "auto" else ("bf16" if _cpu_has_bf16() else "fp32")
        return [Device("cpu", f"CPU, {torch.get_num_threads()} threads", chosen)]
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
    # The kernel's list of processor flags; torch has public names for this only in newer versions.
    flags = Path("/proc/cpuinfo")
    return flags.exists() and bool({"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()))
