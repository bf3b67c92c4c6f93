"""Where a network trains, and how that device computes quickest."""

import contextlib
import ctypes
import sys

import torch
from torch import Tensor, nn

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def find_device(name: str) -> torch.device:
    """The device of that name: cpu, gpu or gpu:N. Raises ValueError for another, or where there is none."""
    if name == "cpu":
        return torch.device("cpu")
    if name == "gpu" or name.startswith("gpu:"):
        if not torch.cuda.is_available():
            raise ValueError(f"--device {name}: no CUDA device is here; leave it out to train on the CPU")
        return torch.device("cuda" + name[3:])
    raise ValueError(f"--device is cpu, gpu or gpu:N, got {name!r}")


def precision(place: torch.device) -> torch.autocast:
    """bfloat16 where the processor computes in it: with `spare_depthwise` a step takes 0.37 s instead of 0.52 s.

    (Two AVX-512 cores, 16 frames at 256 px.) Elsewhere it is emulated: twice the time of float32 with AVX-512 alone,
    twelve times with AVX2.
    """
    pays = torch.cuda.is_bf16_supported() if place.type == "cuda" else _cpu_has("avx512_bf16", "amx_bf16")
    return torch.autocast(place.type, torch.bfloat16, enabled=pays)


def spare_depthwise(network: nn.Module, place: torch.device) -> None:
    """On a CPU depthwise convolutions stay in float32: in bfloat16 their backward pass is half of a step (measured)."""
    if place.type != "cpu":
        return
    for layer in network.modules():
        if type(layer) is nn.Conv2d and layer.groups > 1:
            layer.__class__ = _Float32Conv


def channels_last(pictures: torch.Tensor) -> torch.Tensor:
    """The layout that convolutions are quickest in."""
    return pictures.contiguous(memory_format=torch.channels_last)


def keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks: handing them back and forth cost half of a CPU step (measured)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            glibc = ctypes.CDLL("libc.so.6")
            glibc.mallopt(_M_MMAP_THRESHOLD, 2**30)
            glibc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


class _Float32Conv(nn.Conv2d):
    """A convolution that computes in float32 whatever the precision around it. A class, so that copies keep it."""

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            return super().forward(maps.float()).to(maps.dtype)


def _cpu_has(*names: str) -> bool:
    told = torch.cpu.get_capabilities()
    return any(told.get(name, False) for name in names)
