"""The slow twin of `addersim.kernels.mantissas`: one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.checks import PIECE_BITS, PLACE_BITS, check_mantissas, check_threads

__all__ = ["mantissas"]

Array = npt.NDArray[Any]


def mantissas(x: Array, base: Array, slope: Array, *, threads: int | None = None) -> tuple[Array, Array]:
    """As `addersim.kernels.mantissas`."""
    x, base, slope = check_mantissas(x, base, slope)
    check_threads(threads)
    mantissa, exponent = np.empty((2, *x.shape), np.int64)
    octaves, fraction = len(base) // 2**PIECE_BITS, PIECE_BITS + PLACE_BITS
    for at in np.ndindex(x.shape):
        number = int(x[at])
        length = number.bit_length() - 1
        exponent[at], octave = divmod(length, octaves)
        piece, place = divmod(number * 2**fraction // 2**length - 2**fraction, 2**PLACE_BITS)
        row = octave * 2**PIECE_BITS + piece
        mantissa[at] = int(base[row]) - int(slope[row]) * place // 2**PLACE_BITS
    return mantissa, exponent
