"""Reciprocals and their roots of whole numbers, as a mantissa from a table and an exponent."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import PIECE_BITS, PLACE_BITS, check_mantissas, check_threads

__all__ = ["mantissas"]

Array = npt.NDArray[Any]


def mantissas(x: Array, base: Array, slope: Array, *, threads: int | None = None) -> tuple[Array, Array]:
    """Mantissa and exponent of a function that falls as a power of x, from straight pieces over one octave or two.

    With ``b`` octaves, ``x = w * 2**(b * exponent)`` and ``w`` in ``1..2**b``; the mantissa is that of ``w``:
    ``base - (slope * place >> 16)``, where the leading one's next 8 bits (below those that count the octave) choose the piece,
    and the 16 bits after them are the place. What lies below is dropped.

    Parameters
    ----------
    x
        int64, from 1 on, of any shape.
    base, slope
        int64, shape ``(256,)`` for one octave, ``(512,)`` for two.
    threads
        As in `window`.

    Returns
    -------
    mantissa, exponent
        int64, of the shape of x.
    """
    x, base, slope = check_mantissas(x, base, slope)
    check_threads(threads)
    exponent = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1
    exponent -= x >> exponent == 0  # the float64 was rounded up to a power of two
    fraction = PIECE_BITS + PLACE_BITS
    digits = (x << np.maximum(fraction - exponent, 0)) >> np.maximum(exponent - fraction, 0)
    octaves = len(base) >> PIECE_BITS
    piece = ((digits >> PLACE_BITS) & ((1 << PIECE_BITS) - 1)) + (exponent % octaves << PIECE_BITS)
    place = digits & ((1 << PLACE_BITS) - 1)
    return base[piece] - (slope[piece] * place >> PLACE_BITS), exponent // octaves
