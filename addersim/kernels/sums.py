"""What weights prove of a window layer's sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import Accumulator, Rounding
from addersim.arithmetic.geometry import Pair
from addersim.kernels.core import ARITHMETIC_NUMBERS, OVERFLOWS, chosen_set, core, flat, type_number
from addersim.kernels.elementwise import fits_doubles

__all__ = ["INT32", "Bounds", "Sums"]

Array = npt.NDArray[Any]

INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest exact sum of each output, for any x between two codes (zero included), and of all outputs."""

    least: Array
    most: Array
    lowest: int
    highest: int

    @classmethod
    def of(cls, weights: Array, arithmetic: str, ends: Pair, products: Array | None = None) -> Bounds:
        """Bounds of a layer's sums, and where a multiplier's table gives the terms of those of any number of its taps."""
        if products is not None:
            rows, columns = products[np.arange(ends[0], ends[1] + 1) & 255], weights.reshape(len(weights), -1).view(np.uint8)
            lows, highs = rows.min(axis=0).clip(max=0), rows.max(axis=0).clip(min=0)
            least, most = (end[columns].sum(axis=1, dtype=np.int64) for end in (lows, highs))
            return cls(least, most, int(least.min()), int(most.max()))
        least, most = np.empty((2, len(weights)), np.int64)
        taps = weights.size // len(weights)
        core.window_bounds(
            flat(weights), type_number(weights), ARITHMETIC_NUMBERS[arithmetic], taps, *ends, least, most, chosen_set()
        )
        return cls(least, most, int(least.min()), int(most.max()))

    def within(self, low: int, high: int) -> bool:
        """Whether no sum can leave a range."""
        return self.lowest >= low and self.highest <= high

    def held_by(self, register: Accumulator) -> bool:
        """Whether no sum can leave a register."""
        return register.bits is None or self.within(register.minimum, register.maximum)


@dataclass(frozen=True, slots=True)
class Sums:
    """What C is told of a layer's sums, for any x between two codes (`ends`, zero included).

    Attributes
    ----------
    largest
        Largest magnitude of an exact sum.
    narrow
        Whether 32 bits hold every exact sum.
    handling
        The register in the order of the C struct; one that no sum can leave needs no handling.
    ordered
        Outputs for which the order of the taps matters, or None: a mac sum that could leave a saturating register on its way.
    """

    ends: Pair
    largest: int
    narrow: bool
    handling: tuple[int, int, int, int]
    ordered: Array | None

    @classmethod
    def of(cls, bounds: Bounds, arithmetic: str, register: Accumulator, ends: Pair) -> Sums:
        """From the bounds of each output."""
        handling, ordered = (OVERFLOWS["exact"], 0, 0, 0), None
        if register.overflow != "exact" and register.bits is not None and not bounds.held_by(register):
            handling = OVERFLOWS[register.overflow], register.bits, register.minimum, register.maximum
            if not ARITHMETICS[arithmetic].falls and register.overflow == "saturate":
                ordered = ((bounds.least < register.minimum) | (bounds.most > register.maximum)).view(np.uint8)
        return cls(ends, max(-bounds.lowest, bounds.highest), bounds.within(*INT32), handling, ordered)

    def fuses(self, constants: tuple[Array, Array, Array], rounding: Rounding) -> bool:
        """Whether an affine can follow each sum at once: 32-bit words, in no special order, exact in doubles."""
        if not self.narrow or self.handling[0] == OVERFLOWS["wrap"] or self.ordered is not None:
            return False
        return fits_doubles(self.largest, *constants, rounding)
