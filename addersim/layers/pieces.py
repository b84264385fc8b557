"""Straight pieces in place of a large table: the top bits of a code choose a piece, the others its place within it."""

from __future__ import annotations

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat, shift_right
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array
from addersim.trace import Operand

__all__ = ["Pieces", "fit_pieces"]

FEWEST_BITS, MOST_BITS = 4, 8
"""Of the choice of a piece."""
MOST_SHIFT = 14
"""Fraction bits of a base: with 16 bits of an output code it stays within 32 bits."""
FAR = 1 / 1024
"""Share of the output's codes: what straight pieces miss by more, a jump or a pole, keeps its table."""


class Pieces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """Output code ``round((base + slope * place) / 2**shift)``, saturated.

    Attributes
    ----------
    base, slope
        int32, ``(pieces, 1)`` for all channels or one column a channel.
    place_bits
        Bits of a code that are its place within a piece.
    shift
        Fraction bits of base and slope.
    multiplier_bits
        Width of the hardware's multiplier port, which holds every slope.
    largest_error
        In output codes, over all input codes.
    """

    base: np.ndarray
    slope: np.ndarray
    place_bits: int
    shift: int
    multiplier_bits: int
    largest_error: int

    def check(self, where: str, bits: int) -> None:
        """Refuse what does not serve codes of a width."""
        for field in ("base", "slope"):
            found = getattr(self, field)
            if found.dtype != np.int32 or found.ndim != 2 or not found.size or found.shape != self.base.shape:
                raise NetworkError(f"{where}: {field} is {found.dtype} {found.shape}; expected int32, a row a piece")
        if not 0 <= self.place_bits <= bits or len(self.base) << self.place_bits != 1 << bits:
            raise NetworkError(f"{where}: {len(self.base)} pieces of {self.place_bits} bits do not make {bits}-bit codes")
        if not 0 <= self.shift <= MOST_SHIFT or not 2 <= self.multiplier_bits <= 32:
            given = f"shift {self.shift} and {self.multiplier_bits} multiplier bits"
            raise NetworkError(f"{where}: {given}; allowed are 0..{MOST_SHIFT} and 2..32")

    @property
    def _base_bits(self) -> int:
        return int(np.abs(self.base.astype(np.int64)).max()).bit_length() + 1

    def counts(self, words: int) -> OpCounts:
        """What each output costs: a multiplication, an addition, and the shift of what it gives."""
        wide = max(self._base_bits, self.multiplier_bits + self.place_bits)
        steps = {("mul", max(self.multiplier_bits, self.place_bits)): words, ("add", wide): words}
        return OpCounts(steps | ({("shift", wide): words} if self.shift else {}))

    @property
    def memory(self) -> Operand:
        """Base and slope of every piece."""
        return Operand(self.base.size, self._base_bits + self.multiplier_bits)


def fit_pieces(codes: Array, output: FixedFormat, multiplier_bits: int) -> Pieces | None:
    """The fewest pieces that give the output code of every input code to within one; the most there are, otherwise.

    Parameters
    ----------
    codes
        Output code of every input code, ``(2**bits, columns)``.
    output
        Format of the result.
    multiplier_bits
        Width of the slopes.

    Returns
    -------
    None where the best pieces are far off.
    """
    for bits in range(FEWEST_BITS, MOST_BITS + 1):
        found = _fitted(codes, output, len(codes) >> bits, multiplier_bits)
        if found.largest_error <= 1:
            break
    return found if found.largest_error <= max(1, FAR * (output.maximum - output.minimum + 1)) else None


def _fitted(codes: Array, output: FixedFormat, places: int, multiplier_bits: int) -> Pieces:
    """Pieces of a size: the slope of each chord, moved to the middle of what lies above and below it."""
    exact = codes.astype(np.int64).reshape(-1, places, codes.shape[1])
    place = np.arange(places)[:, None]
    slope = (exact[:, -1] - exact[:, 0]) / max(1, places - 1)
    limit = 2 ** (multiplier_bits - 1) - 1
    shift = max(0, min(MOST_SHIFT, multiplier_bits - 1 - int(np.ceil(np.abs(slope).max())).bit_length()))
    slopes = np.clip(np.rint(slope * 2.0**shift), -limit, limit).astype(np.int64)
    left = (exact << shift) - slopes[:, None] * place
    base = np.clip((left.max(axis=1) + left.min(axis=1)) // 2, -(2**31), 2**31 - 1)
    found = shift_right(base[:, None] + slopes[:, None] * place, shift)
    error = int(np.abs(np.clip(found, output.minimum, output.maximum) - exact).max())
    return Pieces(
        base=base.astype(np.int32),
        slope=slopes.astype(np.int32),
        place_bits=places.bit_length() - 1,
        shift=shift,
        multiplier_bits=multiplier_bits,
        largest_error=error,
    )
