"""Codes through tables: one entry a code, or straight pieces between entries."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import CODES, check_array, check_pieces, check_table, check_threads
from addersim.kernels.core import core, flat

__all__ = ["look_up_codes", "look_up_pieces"]

Array = npt.NDArray[Any]


def look_up_codes(x: Array, table: Array, *, least: int, threads: int | None = None) -> Array:
    """Codes, each exchanged for its entry in a table.

    Parameters
    ----------
    x
        Codes of any shape ``(..., channels)``, from `least` to the last that the table has an entry for.
    table
        Codes, shape ``(entries, 1)`` for all channels or ``(entries, channels)``.
    least
        Code of the first entry.
    threads
        As in `window`.

    Examples
    --------
    >>> look_up_codes(np.array([[-1, 1]], np.int8), np.array([[9], [4], [7]], np.uint8), least=-1).tolist()
    [[9, 7]]
    """
    x, table = check_array("x", x, CODES), check_array("table", table, CODES)
    check_table(x, table, least, len(table))
    count = check_threads(threads)
    if x.dtype.itemsize == 1 and table.shape[1] == 1 and x.size:
        return _bytes_looked_up(x, table, least, count)
    return _entries(x.astype(np.int32) - least, table)


def _bytes_looked_up(x: Array, table: Array, least: int, count: int) -> Array:
    """As `look_up_codes` for codes of one byte: the entries stand where the byte, read without sign, finds them."""
    whole, y = np.zeros(256, table.dtype), np.empty(x.shape, table.dtype)
    whole[np.arange(least, least + len(table)) % 256] = table[:, 0]
    core.look_up(x.view(np.uint8).reshape(len(x), 1, -1), flat(whole), whole.itemsize, flat(y), count)
    return y


def _entries(places: Array, table: Array) -> Array:
    """The table's entry for each place, a channel at its own column."""
    channels = table.shape[1]
    if channels > 1:
        places = places * channels + np.arange(channels, dtype=np.int32)
    return table.reshape(-1).take(places, mode="clip")  # they were checked


def look_up_pieces(x: Array, base: Array, slope: Array, *, least: int, place_bits: int, threads: int | None = None) -> Array:
    """``base + slope * place`` of the piece in which each code lies; int64.

    Parameters
    ----------
    x
        Codes of any shape ``(..., channels)``, `least` the smallest.
    base, slope
        int32, shape ``(pieces, 1)`` for all channels or ``(pieces, channels)``.
    least
        Code at which the first piece begins.
    place_bits
        A piece has ``2**place_bits`` codes, and its first one place zero.
    threads
        As in `window`.

    Examples
    --------
    >>> base, slope = np.array([[100], [0]], np.int32), np.array([[10], [-1]], np.int32)
    >>> look_up_pieces(np.array([[0, 3, 4, 6]], np.uint8), base, slope, least=0, place_bits=2).tolist()
    [[100, 130, 0, -2]]
    """
    x, base, slope = check_pieces(x, base, slope, least, place_bits)
    check_threads(threads)
    codes = x.astype(np.int32) - least
    pieces, places = codes >> place_bits, codes & ((1 << place_bits) - 1)
    found: Array = _entries(pieces, base).astype(np.int64) + _entries(pieces, slope).astype(np.int64) * places
    return found
