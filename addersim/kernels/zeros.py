"""Zeros among codes, in runs, and images with their channels brought last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import CODE_ENDS, INTEGERS, check_array
from addersim.kernels.core import chosen_set, core, flat, type_number

__all__ = ["RUN_BITS", "channels_last", "zero_runs"]

Array = npt.NDArray[Any]

RUN_BITS = (4, 5, 6, 7, 8)
"""Widths of a run's length for which the pairs of a run-length code are counted."""


def zero_runs(codes: Array, zero_point: int = 0) -> tuple[int, int, tuple[int, ...]]:
    """How many codes ``(images, ...)`` stand for zero, in how many runs, and the pairs of a run-length code.

    A pair is a length of up to ``2**width - 1`` zeros and the word behind them, which is a zero where the run is longer or the
    image ends; one count for each width in `RUN_BITS`.

    Examples
    --------
    >>> zero_runs(np.array([[0] * 40 + [1, 0, 2], [1] * 43]))
    (41, 2, (47, 46, 45, 45, 45))
    """
    codes = check_array("codes", codes, INTEGERS)
    if not codes.size:
        return 0, 0, (0,) * len(RUN_BITS)
    words = math.prod(codes.shape[1:])
    low, high = CODE_ENDS.get(codes.dtype, (zero_point, zero_point))
    if not low <= zero_point <= high:
        return 0, 0, (codes.size,) * len(RUN_BITS)
    return core.zero_runs(flat(codes), type_number(codes), len(codes), words, zero_point, chosen_set())


def channels_last(images: Array) -> Array:
    """Arrays ``(images, channels, ...)`` as ``(images, ..., channels)``.

    Examples
    --------
    >>> channels_last(np.arange(6, dtype=np.uint8).reshape(1, 2, 3)).tolist()
    [[[0, 3], [1, 4], [2, 5]]]
    """
    moved = np.moveaxis(images, 1, -1)
    if images.itemsize != 1 or not images.size or not images.flags.c_contiguous or moved.flags.c_contiguous:
        return np.ascontiguousarray(moved)
    y = np.empty(moved.shape, images.dtype)
    core.interleave(images.view(np.uint8).reshape(*images.shape[:2], -1), flat(y), chosen_set())
    return y
