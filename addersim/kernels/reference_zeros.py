"""The slow twins of `addersim.kernels.zeros`: one word at a time, as a coder goes through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import INTEGERS, check_array
from addersim.kernels.zeros import RUN_BITS

__all__ = ["channels_last", "zero_runs"]

Array = npt.NDArray[Any]


def zero_runs(codes: Array, zero_point: int = 0) -> tuple[int, int, tuple[int, ...]]:
    """As `addersim.kernels.zero_runs`."""
    rows = [(image.ravel() == zero_point).tolist() for image in check_array("codes", codes, INTEGERS)]
    starts = sum(zero and not before for row in rows for before, zero in zip([False, *row], row, strict=False))
    return sum(map(sum, rows)), starts, tuple(sum(_pairs(row, 2**width - 1) for row in rows) for width in RUN_BITS)


def _pairs(row: list[bool], most: int) -> int:
    pairs = run = 0
    for zero in row:
        if zero and run < most:
            run += 1
        else:
            pairs, run = pairs + 1, 0
    return pairs + (run > 0)


def channels_last(images: Array) -> Array:
    """As `addersim.kernels.channels_last`."""
    return np.ascontiguousarray(np.moveaxis(images, 1, -1))
