"""The slow twin of `addersim.kernels.blending`: one output at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import check_blend, check_threads

__all__ = ["blend"]

Array = npt.NDArray[Any]


def blend(
    x: Array, first: Array, second: Array, fraction: Array, *, axis: int, bits: int, threads: int | None = None
) -> Array:
    """As `addersim.kernels.blend`."""
    x, first, second, fraction = check_blend(x, first, second, fraction, axis, bits)
    check_threads(threads)
    y = np.empty((*x.shape[:axis], len(first), *x.shape[axis + 1 :]), np.int64)
    for place in np.ndindex(y.shape):
        at = place[axis]
        one, other = (int(x[(*place[:axis], end[at], *place[axis + 1 :])]) for end in (first, second))
        y[place] = one * (2**bits - int(fraction[at])) + other * int(fraction[at])
    return y
