"""Tables for the reciprocal of a whole number, or of its root, times a constant."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat, shift_right
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.kernels.checks import PIECE_BITS
from addersim.layers.base import Array, Engine
from addersim.trace import Operand

__all__ = ["ERROR", "Falling", "reciprocal", "reciprocal_root"]

MANTISSA_BITS = 24
ERROR = 0.7 * 2.0**-18
"""Largest relative error of a table's answer, the bits that it drops from a number included."""


class Falling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """``constant * x**-1`` or ``constant * x**-0.5``: mantissas of straight pieces, and how far a product with one is shifted.

    Attributes
    ----------
    base, slope
        int64, 256 an octave; see `addersim.kernels.mantissas`.
    shift
        Fraction bits of a mantissa for x of exponent zero.
    """

    base: np.ndarray
    slope: np.ndarray
    shift: int

    def check(self, where: str, octaves: int) -> None:
        """Refuse tables of another size, or beyond the widths that are billed."""
        for field in ("base", "slope"):
            found = getattr(self, field)
            if found.dtype != np.int64 or found.shape != (octaves << PIECE_BITS,):
                raise NetworkError(f"{where}: {field} is {found.dtype} {found.shape}; expected int64, {octaves << PIECE_BITS}")
            if found.min() < 0 or found.max() >> MANTISSA_BITS:
                ends = f"{found.min()}..{found.max()}"
                raise NetworkError(f"{where}: {field} holds {ends}; expected {MANTISSA_BITS} unsigned bits")
        if not -64 <= self.shift <= 128:
            raise NetworkError(f"{where}: shift {self.shift}; allowed are -64..128")

    def times(self, engine: Engine, x: Array, values: Array, output: FixedFormat, threads: int | None = None) -> Array:
        """Codes of ``values * constant * x**power``, rounded half to even and saturated. Values stay below 2**38."""
        mantissa, exponent = engine.mantissas(x, self.base, self.slope, threads=threads)
        # beyond 62 places nothing is left of a product in any case
        found = shift_right(values * mantissa, np.minimum(self.shift + exponent, 62))
        return np.clip(found, output.minimum, output.maximum).astype(output.dtype)

    def counts(self, numbers: int, words: int, value_bits: int, number_bits: int) -> OpCounts:
        """What it costs to look some numbers up and to multiply some words by them."""
        product = value_bits + MANTISSA_BITS
        return OpCounts(
            [
                (("shift", number_bits), numbers),
                (("mul", MANTISSA_BITS), numbers),
                (("sub", MANTISSA_BITS), numbers),
                (("mul", max(value_bits, MANTISSA_BITS)), words),
                (("shift", product), words),
            ]
        )

    @property
    def memory(self) -> Operand:
        """Base and slope of every piece."""
        return Operand(len(self.base), 2 * MANTISSA_BITS)


def reciprocal(constant: float) -> Falling:
    """``constant / x``."""
    return _fitted(constant, 1, lambda w: 1.0 / w)


def reciprocal_root(constant: float) -> Falling:
    """``constant / sqrt(x)``."""
    return _fitted(constant, 2, lambda w: 1.0 / np.sqrt(w))


def _fitted(constant: float, octaves: int, power: Callable[[Array], Array]) -> Falling:
    """Chords, moved down by half of what they stand above the curve."""
    mantissa, exponent = math.frexp(constant)  # 0.5..1, so that all entries fit their bits
    starts = (1.0 + np.arange(1 << PIECE_BITS) / (1 << PIECE_BITS)) * 2.0 ** np.arange(octaves)[:, None]
    widths = np.broadcast_to(2.0 ** np.arange(octaves)[:, None] / (1 << PIECE_BITS), starts.shape)
    first, middle, last = (power(starts + widths * part) * mantissa * 2.0**MANTISSA_BITS for part in (0.0, 0.5, 1.0))
    above = ((first + last) / 2 - middle) / 2
    base = np.minimum(np.rint(first - above), (1 << MANTISSA_BITS) - 1)
    return Falling(
        base=base.astype(np.int64).reshape(-1),
        slope=np.rint(first - last).astype(np.int64).reshape(-1),
        shift=MANTISSA_BITS - exponent,
    )
