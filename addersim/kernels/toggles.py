"""What the bits of codes toggle, bit by bit, where pairs of words follow each other so and so often; and their zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.core import core

__all__ = ["weighed_bits", "weighed_changes", "weighed_zeros"]

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
    counts = np.zeros(16, np.int64)
    for first, part in _bytes(words):
        core.weighed_bits(part, _whole(weights), counts[first : first + 8])
    return counts[:bits]


def weighed_changes(words: Array, counted: Array, weights: Array, bits: int) -> Array:
    """The same of what changes from each word of a row to the next one, where `counted`, a bool a word, says that it counts.

    Examples
    --------
    >>> weighed_changes(np.array([[1, 3, 0]], np.uint8), np.array([True, False, True]), np.array([5]), 3).tolist()
    [0, 5, 0]
    """
    counts = np.zeros(16, np.int64)
    mask = np.where(np.asarray(counted).reshape(-1), 255, 0).astype(np.uint8)
    for first, part in _bytes(words):
        core.weighed_changes(part, mask, _whole(weights), counts[first : first + 8])
    return counts[:bits]


def weighed_zeros(words: Array, weights: Array) -> int:
    """Words that are zero, those of each row times the row's weight, of codes of one or two bytes.

    Examples
    --------
    >>> weighed_zeros(np.array([[0, 256], [0, 0]], np.uint16), np.array([1, 10]))
    21
    """
    parts = [part for _, part in _bytes(words)]
    return core.weighed_zeros(parts[0] if len(parts) == 1 else parts[0] | parts[1], _whole(weights)) if parts else 0


def _whole(weights: Array) -> Array:
    return np.ascontiguousarray(weights, np.int64).reshape(-1)


def _bytes(words: Array) -> Iterator[tuple[int, Array]]:
    """Bytes of words, a row a row, the lowest first, each with the place of its first bit; none where there are no words."""
    rows = np.ascontiguousarray(words).reshape(len(words), -1)
    size = rows.dtype.itemsize
    if rows.size and size in (1, 2):
        plain: npt.NDArray[Any] = rows.view(np.uint8 if size == 1 else np.uint16)
        for byte in range(size):
            yield 8 * byte, plain if size == 1 else np.ascontiguousarray(plain >> 8 * byte & 255, np.uint8)
