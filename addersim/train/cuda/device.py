"""Compiles the kernels by NVRTC, times their tiles once for each shape, and launches on torch's current stream.

Tests without a GPU compile the kernels, read their machine code, and run their source on a CPU; `make test-gpu` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from addersim.train.cuda.launch import Launch
from addersim.train.cuda.source import kernels_source

__all__ = ["arguments", "compile_kernel", "compiler_version", "is_usable", "launch_kernel", "run"]

OLDEST = (8, 0)
"""Compute capability from which on copies to shared memory pass the registers by."""
REPEATS = 3
"""Launches of a tile that are timed, after one that is not."""


@cache
def compiler_version() -> int:
    """CUDA's version, such as 13, of the NVRTC library that cuda-core finds; 0 without either. Neither needs a GPU."""
    try:
        import cuda.core
        from cuda.bindings import nvrtc

        cuda.core.Program  # noqa: B018
        status, major, _ = nvrtc.nvrtcVersion()
    except (ImportError, AttributeError, RuntimeError):  # cuda.pathfinder's error for a library that is not there is the last
        return 0
    return 0 if int(status) else int(major)


@cache
def _driver_version() -> int:
    """CUDA's version up to which the driver loads machine code."""
    from cuda.bindings import driver

    status, version = driver.cuDriverGetVersion()
    return 0 if int(status) else int(version) // 1000


def is_usable(device: torch.device) -> bool:
    """Whether tensors on a device can take these kernels; where not, Triton's are the fallback."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < OLDEST or not compiler_version():
        return False
    return _driver_version() >= compiler_version()


def compile_kernel(name: str, architecture: str, source: str | None = None) -> Any:
    """Machine code of one kernel, such as ``l1_forward<float,float,4,Tile<8,8,8,16>>``, for one of ``sm_80``, ``sm_90``..."""
    from cuda.core import Program, ProgramOptions

    program = Program(source or kernels_source(), "c++", ProgramOptions(arch=architecture, std="c++17", name=name))
    return program.compile("cubin", name_expressions=[name])


@cache
def _kernel(name: str, index: int) -> Any:
    major, minor = torch.cuda.get_device_capability(index)
    return compile_kernel(name, f"sm_{major}{minor}").get_kernel(name)


def run(candidates: Sequence[Launch]) -> None:
    """Run one of several launches that give the same: the one that was fastest for such sizes.

    While a graph is captured nothing can be timed: then the first runs, unless the sizes were met before.
    """
    first = candidates[0]
    index, sizes = _place_and_sizes(first)
    chosen = _fastest(index).get(key := (first.kernel, len(candidates), sizes))
    with torch.cuda.device(index):  # a stream is the current one of the current device
        if chosen is None:
            chosen = 0
            if len(candidates) > 1 and not torch.cuda.is_current_stream_capturing():
                times = [_milliseconds(one, index) for one in candidates]
                chosen = _fastest(index)[key] = times.index(min(times))
        _launch(candidates[chosen], index)


def _place_and_sizes(one: Launch) -> tuple[int, tuple[int, ...]]:
    """The device of a launch's tensors, and its numbers."""
    sizes = tuple(value for value in one.arguments if type(value) is int)
    return next(value.device.index for value in one.arguments if isinstance(value, Tensor)), sizes


@cache
def _fastest(index: int) -> dict[object, int]:
    """Of a device, the place of the fastest among the candidates for given sizes."""
    return {}


def _milliseconds(one: Launch, index: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    _launch(one, index)
    begin.record()
    for _ in range(REPEATS):
        _launch(one, index)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _launch(one: Launch, index: int) -> None:
    launch_kernel(_kernel(one.kernel, index), one, index)


def launch_kernel(kernel: Any, one: Launch, index: int) -> None:
    """Launch a compiled kernel on torch's current stream of a device."""
    launch, device = _launcher(index)
    device.set_current()  # the thread may be autograd's
    stream = _stream(index, torch.cuda.current_stream(index).cuda_stream)
    launch(stream, _config(one.grid, one.threads), kernel, *arguments(one))


# A layer is launched some ten times a millisecond: what cuda-core makes for a launch is kept.
@cache
def _launcher(index: int) -> tuple[Any, Any]:
    """The function that launches, and a device."""
    from cuda.core import Device, launch

    return launch, Device(index)


@cache
def _stream(index: int, handle: int) -> Any:
    """A stream of a device; every device has a first one of the same handle."""
    from cuda.core import Stream

    return Stream.from_handle(handle)


@lru_cache(maxsize=4096)
def _config(grid: tuple[int, int], threads: int) -> Any:
    from cuda.core import LaunchConfig

    return LaunchConfig(grid=grid, block=threads)


def arguments(one: Launch) -> list[Any]:
    """Addresses as Python's integers, which are passed as pointers, and numbers of 32 bits."""
    return [value.data_ptr() if isinstance(value, Tensor) else np.int32(value) for value in one.arguments]
