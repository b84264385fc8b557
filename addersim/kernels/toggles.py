"""What the bits of codes toggle, bit by bit, where pairs of words follow each other so and so often."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.core import core

__all__ = ["weighed_bits"]

Array = npt.NDArray[Any]


def weighed_bits(words: Array, weights: Array, bits: int) -> Array:
    """The ones of each bit of words, int64, those of each row times the row's weight.

    Parameters
    ----------
    words
        Codes of one or two bytes, or exclusive ors of them, shape ``(rows, ...)``.
    weights
        Whole numbers, one a row.
    bits
        How many bits are told, the lowest first.

    Examples
    --------
    >>> weighed_bits(np.array([[1, 3], [2, 0]], np.uint8), np.array([1, 10]), 3).tolist()
    [2, 11, 0]
    """
    rows = np.ascontiguousarray(words).reshape(len(words), -1)
    counts = np.zeros(16, np.int64)
    if rows.size and rows.dtype.itemsize in (1, 2):
        held = np.ascontiguousarray(weights, np.int64).reshape(-1)
        plain: npt.NDArray[Any] = rows.view(np.uint8 if rows.dtype.itemsize == 1 else np.uint16)
        for byte in range(rows.dtype.itemsize):
            part = plain if rows.dtype.itemsize == 1 else np.ascontiguousarray(plain >> 8 * byte & 255, np.uint8)
            core.weighed_bits(part, held, counts[8 * byte : 8 * byte + 8])
    return counts[:bits]
