"""Blends of two places along one axis."""

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
    """``x[first] * (2**bits - fraction) + x[second] * fraction`` along an axis; int64, exact.

    Parameters
    ----------
    x
        Integers of any shape; ``|x| * 2**bits`` must stay below 2**62.
    first, second, fraction
        int64, one each an output along the axis.
    axis
        From 1: the first axis is that of the images.
    bits
        Of the fractions, 0..46.
    threads
        As in `window`.

    Examples
    --------
    >>> taps = (np.array([0, 0]), np.array([1, 1]), np.array([0, 1]))
    >>> blend(np.array([[10, 20]], np.int8), *taps, axis=1, bits=2).tolist()
    [[40, 50]]
    """
    x, first, second, fraction = check_blend(x, first, second, fraction, axis, bits)
    check_threads(threads)
    along = fraction.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    start = x.take(first, axis).astype(np.int64)
    found: Array = (start << bits) + (x.take(second, axis) - start) * along
    return found
