"""CODECS: how a trained weight becomes the few bits that hardware stores, one record each.

A weight is a *value* on an integer grid times the scale of its filter. A uniform codec stores the value itself in two's
complement; the others store an index of one of a few values (levels): a sign, a power of two, a sum of two powers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.errors import FormatError

__all__ = ["CODECS", "Codec"]

Array = npt.NDArray[Any]


def _uniform(bits: int) -> tuple[int, ...]:
    return tuple(range((1 << (bits - 1)) + 1))


def _powers(bits: int) -> tuple[int, ...]:
    return (0, *(1 << power for power in range((1 << (bits - 1)) - 1)))


_TERMS: Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {3: ((0, 4, 2, 1), (0,)), 4: ((0, 8, 4, 1), (0, 2)), 5: ((0, 32, 8, 2), (0, 16, 4, 1))}
)
"""The two sets of which an additive power of two has one member each, by stored width."""


def _two_powers(bits: int) -> tuple[int, ...]:
    return tuple(sorted({one + other for one, other in itertools.product(*_TERMS[bits])}))


@dataclass(frozen=True, slots=True)
class Codec:
    """Which values a weight can take in a number of stored bits.

    Attributes
    ----------
    name
        Name in `CODECS`.
    about
        One line for people, with its source.
    fewest, most
        Stored widths that it has. A wider wish gets `most`; a narrower one is refused.
    levels
        Magnitudes of the values for a stored width, rising; of those above zero, the negatives are values too.
    """

    name: str
    about: str
    fewest: int
    most: int
    levels: Callable[[int], tuple[int, ...]]

    @property
    def uniform(self) -> bool:
        """Whether every integer of a width is a value, so that weights may be rounded up or down, or shifted to a grid."""
        return self.levels is _uniform

    def bits(self, asked: int, where: str) -> int:
        """Stored width for a wish.

        Raises
        ------
        FormatError
            For fewer bits than its values need.
        """
        if asked < self.fewest:
            held = f"{self.fewest}..{self.most}" if self.fewest < self.most else f"{self.most}"
            raise FormatError(f"{where}: weight_bits {asked}; {self.name} weights are stored in {held} bits")
        return min(asked, self.most)

    def format(self, bits: int) -> FixedFormat:
        """Fixed-point format of scale one that holds the values of a stored width, as kernels take them."""
        if self.uniform:
            return FixedFormat(bits)
        most = self.levels(bits)[-1]
        return FixedFormat(max(2, bits_for(-most, most)))

    def stored_bits(self, held: FixedFormat) -> int:
        """The stored width whose values a format is for.

        Raises
        ------
        FormatError
            For a format of another width than those of `format`.
        """
        if self.uniform:
            return held.bits
        widths = {self.format(bits).bits: bits for bits in range(self.fewest, self.most + 1)}
        if held.bits not in widths or not held.signed:
            allowed = ", ".join(f"s{bits}" for bits in widths)
            raise FormatError(f"{self.name} weights in the format {held}; they are held in {allowed}")
        return widths[held.bits]

    def nearest(self, values: Array, bits: int) -> Array:
        """The value next to each real; of two as near the smaller one in magnitude, or with uniform values the even one.

        Examples
        --------
        >>> CODECS["power-of-two"].nearest(np.array([0.4, 2.9, -3.1, 99.0]), 4).tolist()
        [0.0, 2.0, -4.0, 64.0]
        >>> CODECS["sign"].nearest(np.array([-0.2, 0.0]), 1).tolist()
        [-1.0, 1.0]
        """
        if self.uniform:
            held = self.format(bits)
            return np.clip(np.rint(values), held.minimum, held.maximum)
        levels = np.array(self.levels(bits), np.float64)
        chosen = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, np.abs(values), side="left")]
        found: Array = np.where(values < 0, -chosen, chosen).astype(np.result_type(values, np.float32))
        return found

    def in_order(self, bits: int) -> tuple[int, ...]:
        """Magnitudes by the bits of a stored code below its sign bit, of codes of few values.

        Sums of two powers are stored as two fields, one a term, since the circuit adds what each of them chooses.

        Examples
        --------
        >>> CODECS["power-of-two"].in_order(3), CODECS["two-powers"].in_order(3)
        ((0, 1, 2, 4), (0, 4, 2, 1))
        """
        if self.levels is _two_powers:
            return tuple(one + other for one, other in itertools.product(*_TERMS[bits]))
        return self.levels(bits)

    def stored(self, values: Array, bits: int) -> Array:
        """Codes of a stored width, int64, of values that it has: two's complement, or sign and place among `in_order`.

        Examples
        --------
        >>> CODECS["uniform"].stored(np.array([-3, 2]), 4).tolist()
        [13, 2]
        >>> CODECS["power-of-two"].stored(np.array([-4, 0]), 3).tolist()
        [7, 0]
        """
        if self.uniform:
            return np.bitwise_and(values.astype(np.int64), (1 << bits) - 1)
        magnitudes = self.in_order(bits)
        sign = 1 << (bits - 1)
        codes = {value: place for place, value in enumerate(magnitudes)}
        codes |= {-value: sign | place for place, value in enumerate(magnitudes) if value}
        known = np.array(sorted(codes), np.int64)
        places = np.searchsorted(known, values).clip(0, len(known) - 1)
        if (known[places] != values).any():
            raise FormatError(f"{self.name} weights of {bits} bits are {', '.join(map(str, known))}; found others")
        found: Array = np.array([codes[int(one)] for one in known], np.int64)[places]
        return found

    def largest(self, bits: int) -> int:
        """The largest value."""
        return self.format(bits).maximum if self.uniform else self.levels(bits)[-1]


_RECORDS = (
    Codec("uniform", "two's complement integers", 2, 16, _uniform),
    Codec("sign", "-1 or 1; zero counts as 1 (XNOR-Net, arXiv 1603.05279)", 1, 1, lambda bits: (1,)),
    Codec("ternary", "-1, 0 or 1 (ternary weight networks, arXiv 1605.04711)", 2, 2, lambda bits: (0, 1)),
    Codec("power-of-two", "zero, or a signed power of two (DeepShift, arXiv 1905.13298)", 2, 5, _powers),
    Codec("two-powers", "a signed sum of two powers of two (APoT, arXiv 1909.13144)", 3, 5, _two_powers),
)

CODECS: Mapping[str, Codec] = MappingProxyType({record.name: record for record in _RECORDS})
