"""Rows on a grid of capacities and widths: straight lines between logarithms, never falling along either."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from addersim.hardware.prices.rules import Span, outside_rows

__all__ = ["Grid", "axes"]

_Node = tuple[float, float]


class _Place(NamedTuple):
    """Where a size lies on an axis: between which two marks, how far from one to the other, and how far beyond the ends."""

    low: int
    high: int
    share: float
    beyond: float


@dataclass(frozen=True, slots=True)
class Grid:
    """y at any capacity and width from rows at every pair of some capacities and widths.

    What is larger and wider can stand in for what is smaller: a row above another one that is at least as large and as wide
    is lowered to it. So y never falls with either size, between the rows too, and is continuous. Beyond the rows it goes
    on with the mean slope of the outermost pieces.

    Attributes
    ----------
    capacities, widths
        The marks of both axes, rising.
    values
        y by capacity and width.
    lowered
        The rows that are lowered: their own y, and the row that stands in.
    capacity_slopes, width_slopes
        Exponents of the power laws below the first and above the last mark.

    Examples
    --------
    >>> grid = Grid.of([(8, 32, 2.0), (8, 64, 1.5), (32, 32, 3.0), (32, 64, 6.0)])
    >>> grid(8, 32), round(grid(16, 64), 6), grid.describe(8, 32)
    (1.5, 3.0, 'exact, lowered from 2 to the row of 8 KiB x 64 bits')
    """

    capacities: tuple[float, ...]
    widths: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    lowered: Mapping[_Node, tuple[float, _Node]]
    capacity_slopes: Span
    width_slopes: Span

    @classmethod
    def of(cls, points: Iterable[tuple[float, float, float]]) -> Grid:
        """A grid of (capacity in KiB, width in bits, y > 0): at least two capacities, each at the same widths."""
        own = {(capacity, width): y for capacity, width, y in points}
        capacities, widths = axes(own)
        lowest: dict[_Node, _Node] = {}
        for at, across in product(reversed(range(len(capacities))), reversed(range(len(widths)))):
            larger = [lowest[node] for node in product(capacities[at : at + 2], widths[across : across + 2]) if node in lowest]
            lowest[capacities[at], widths[across]] = min([(capacities[at], widths[across]), *larger], key=own.__getitem__)
        values = tuple(tuple(own[lowest[capacity, width]] for width in widths) for capacity in capacities)
        lowered = {node: (own[node], other) for node, other in lowest.items() if own[other] < own[node]}
        across_widths = tuple(zip(*values, strict=True))
        return cls(capacities, widths, values, lowered, _slopes(capacities, across_widths), _slopes(widths, values))

    def __call__(self, capacity_kib: float, width_bits: float) -> float:
        """The grid's value."""
        at, across = _place(self.capacities, capacity_kib), _place(self.widths, width_bits)
        low, high = (
            _between(math.log(self.values[row][across.low]), math.log(self.values[row][across.high]), across.share)
            for row in (at.low, at.high)
        )
        least, most = self.values[at.low][across.low], self.values[at.high][across.high]
        inside = min(max(math.exp(_between(low, high, at.share)), least), most)
        further = at.beyond * self.capacity_slopes[at.beyond > 0] + across.beyond * self.width_slopes[across.beyond > 0]
        return inside * math.exp(further) if further else inside

    def describe(self, capacity_kib: float, width_bits: float) -> str:
        """Which rows a value comes from; for a size outside them, that it is."""
        node = capacity_kib, width_bits
        if node in self.lowered:
            own, (capacity, width) = self.lowered[node]
            return f"exact, lowered from {own:g} to the row of {capacity:g} KiB x {width:g} bits"
        at, across = _place(self.capacities, capacity_kib), _place(self.widths, width_bits)
        if capacity_kib in self.capacities and width_bits in self.widths:
            return "exact"
        between = f"{_marks(self.capacities, at)} KiB, {_marks(self.widths, across)} bits"
        ends = ((axis[0], axis[-1]) for axis in (self.capacities, self.widths))
        return f"grid, between rows of {between}{outside_rows(node, *ends)}"


def axes(nodes: Iterable[_Node]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The capacities and the widths of some rows, rising."""
    capacities, widths = (tuple(sorted(set(axis))) for axis in zip(*nodes, strict=True))
    return capacities, widths


def _place(axis: Sequence[float], x: float) -> _Place:
    right = bisect_right(axis, x)
    if x <= axis[0] or x >= axis[-1] or axis[right - 1] == x:
        mark = max(right - 1, 0)
        return _Place(mark, mark, 0.0, math.log(x / axis[mark]))
    low, high = axis[right - 1], axis[right]
    return _Place(right - 1, right, math.log(x / low) / math.log(high / low), 0.0)


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)


def _slopes(axis: Sequence[float], lines: Sequence[Sequence[float]]) -> Span:
    """Mean exponents of some lines along an axis, of their first and of their last piece."""
    first, last = (
        sum(math.log(line[high] / line[low]) for line in lines) / len(lines) / math.log(axis[high] / axis[low])
        for low, high in ((0, 1), (-2, -1))
    )
    return first, last


def _marks(axis: Sequence[float], place: _Place) -> str:
    return " and ".join(f"{axis[mark]:g}" for mark in dict.fromkeys((place.low, place.high)))
