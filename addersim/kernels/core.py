"""The compiled module: the only importer of `addersim._core`, which instruction set it uses, and how it is spoken to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat, Overflow
from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.requantisation import FORMULAS
from addersim.errors import ConfigError
from addersim.kernels.checks import INTEGERS

try:
    from addersim import _core as core
except ImportError as error:
    raise ImportError(
        f"addersim._core, the compiled kernels, cannot load ({error}); build it with a C compiler: pip install -e . or make"
    ) from error

__all__ = ["KernelInfo", "core", "kernel_info"]

Array = npt.NDArray[Any]

KNOWN_SETS = ("portable", "avx2", "avx512", "avx512vnni", "avx512popcnt", "avx512amx", "neon")
ARITHMETIC_NUMBERS: Mapping[str, int] = MappingProxyType(
    {name: core.arithmetics().index(record.kernel) for name, record in ARITHMETICS.items()}
)
"""The compiled row of each arithmetic; some share one."""
OVERFLOWS: Mapping[str, int] = MappingProxyType({"exact": 0, "wrap": 1, "saturate": 2})
_NUMBERS = MappingProxyType({np.dtype(kind): number for number, kind in enumerate(INTEGERS)})
FORMULA_NUMBERS: Mapping[str, int] = MappingProxyType({name: number for number, name in enumerate(FORMULAS)})
ROUNDINGS: Mapping[str, int] = MappingProxyType({"half-even": 0, "half-up": 1, "truncate": 2})


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """What runs the kernels.

    Attributes
    ----------
    instruction_set
        The set in use.
    available
        Sets that this machine runs, best first.
    threads
        Threads of a call that does not say how many.
    openmp
        Whether the kernels were built with OpenMP; without it there is one thread.
    """

    instruction_set: str
    available: tuple[str, ...]
    threads: int
    openmp: bool


def kernel_info() -> KernelInfo:
    """The instruction set in use, those available, and the default number of threads."""
    available = core.instruction_sets()
    threads = core.default_threads()
    return KernelInfo(available[chosen_set()], available, max(1, threads), threads > 0)


def chosen_set() -> int:
    """Position of the instruction set in use: the best, or what ADDERSIM_KERNELS names."""
    name = os.environ.get("ADDERSIM_KERNELS", "")
    if not name:
        return 0
    available = core.instruction_sets()
    if name not in available:
        found = "is not a known instruction set" if name not in KNOWN_SETS else "is not supported by this machine"
        raise ConfigError(f"ADDERSIM_KERNELS: {name!r} {found}; this machine runs {', '.join(available)}")
    return available.index(name)


def geometry_numbers(geometry: Geometry, x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    """Geometry in the order of the C struct, from shapes; of the far padding, C sees the number of outputs."""
    sizes = (*x, *y[1:], *geometry.kernel)
    return (*sizes, *geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups)


NO_LEAST = -(2**31)
"""The lower bound that tells C of none."""


@lru_cache(maxsize=256)
def codes_numbers(output: FixedFormat, overflow: Overflow, then: FixedFormat | None) -> tuple[int, ...]:
    """An output format, and what it saturates to next, in the order of the C struct.

    What saturates from below to a format that ends at zero is ReLU's zero, not an overflow: it passes the first clip.
    """
    stored = then or output
    first = (_NUMBERS[stored.dtype], OVERFLOWS[overflow], output.bits, int(output.signed))
    low = NO_LEAST if overflow == "saturate" and output.ends_at_zero else output.minimum
    return (*first, low, output.maximum, max(output.minimum, stored.minimum), stored.maximum)


def flat(values: Array) -> Array:
    """The bytes of an array."""
    return values.reshape(-1).view(np.uint8)


def type_number(values: Array) -> int:
    """The number of an integer type in C."""
    return _NUMBERS[values.dtype]
