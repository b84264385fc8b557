"""The slow twins of `addersim.kernels.tables`: one code at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import CODES, check_array, check_pieces, check_table, check_threads

__all__ = ["look_up_codes", "look_up_pieces"]

Array = npt.NDArray[Any]


def look_up_codes(x: Array, table: Array, *, least: int, threads: int | None = None) -> Array:
    """As `addersim.kernels.look_up_codes`."""
    x, table = check_array("x", x, CODES), check_array("table", table, CODES)
    check_table(x, table, least, len(table))
    check_threads(threads)
    y = np.empty(x.shape, table.dtype)
    for place in np.ndindex(x.shape):
        y[place] = table[int(x[place]) - least, place[-1] % table.shape[1]]
    return y


def look_up_pieces(x: Array, base: Array, slope: Array, *, least: int, place_bits: int, threads: int | None = None) -> Array:
    """As `addersim.kernels.look_up_pieces`."""
    x, base, slope = check_pieces(x, base, slope, least, place_bits)
    check_threads(threads)
    y = np.empty(x.shape, np.int64)
    for place in np.ndindex(x.shape):
        piece, within = divmod(int(x[place]) - least, 1 << place_bits)
        channel = place[-1] % base.shape[1]
        y[place] = int(base[piece, channel]) + int(slope[piece, channel]) * within
    return y
