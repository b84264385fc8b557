"""The vocabulary of hardware operations, and how many of each a piece of work needs."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from addersim.errors import AddersimError

__all__ = ["OPERATIONS", "OpCounts", "sum_by_key", "sum_counts"]

Key = TypeVar("Key")
Number = TypeVar("Number", int, float)

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "add": "two's-complement addition",
        "sub": "two's-complement subtraction",
        "cmp": "magnitude comparison of two words",
        "mux": "choice of one of two words",
        "xor": "bitwise exclusive or of two words (conditional inversion)",
        "mul": "integer multiplication; the bits are those of the wider operand",
        "amul": "product from a multiplier's own table, such as an approximate one's; 8 bits wide",
        "shift": "arithmetic shift by a variable amount, with rounding",
    }
)

_KNOWN = frozenset(OPERATIONS)


class OpCounts(Mapping[tuple[str, int], int]):
    """Immutable numbers of operations, keyed by ``(operation, bits)``.

    Counts add with ``+`` and scale with ``*``; an absent key reads as zero through `get`, and an operation outside
    `OPERATIONS`, a width below 1 or a negative number is refused.

    Parameters
    ----------
    counts
        Numbers of operations by ``(operation, bits)``, as a mapping or as pairs; repeated keys add up, zeros are dropped.

    Examples
    --------
    >>> a_tap = OpCounts({("sub", 8): 2, ("mux", 8): 1, ("add", 17): 1})
    >>> (a_tap * 10).total("sub")
    20
    >>> a_tap + OpCounts({("add", 17): 4})
    OpCounts(add17=5, mux8=1, sub8=2)
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[tuple[str, int], int] | Iterable[tuple[tuple[str, int], int]] = ()):
        totals: dict[tuple[str, int], int] = {}
        for (op, bits), number in counts.items() if hasattr(counts, "items") else counts:
            if op not in _KNOWN:
                raise AddersimError(f"unknown operation {op!r}; known: {', '.join(OPERATIONS)}")
            if bits < 1 or number < 0:
                raise AddersimError(f"operation {op}: {bits} bits, {number} times; needs bits >= 1 and number >= 0")
            if number:
                key = op, int(bits)
                totals[key] = totals.get(key, 0) + int(number)
        self._counts = _in_order(totals)

    def __getitem__(self, key: tuple[str, int]) -> int:
        return self._counts[key]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def items(self) -> ItemsView[tuple[str, int], int]:
        """Operations with their numbers."""
        return self._counts.items()

    def __add__(self, other: OpCounts) -> OpCounts:
        if not (self._counts and other._counts):
            return self if self._counts else other
        found = object.__new__(OpCounts)  # of counts that were checked
        found._counts = _in_order(sum_by_key([*self._counts.items(), *other._counts.items()]))
        return found

    def __mul__(self, times: int) -> OpCounts:
        return OpCounts({key: number * times for key, number in self._counts.items()})

    __rmul__ = __mul__

    def __hash__(self) -> int:
        return hash(tuple(self._counts.items()))

    def __repr__(self) -> str:
        return f"OpCounts({', '.join(f'{op}{bits}={number}' for (op, bits), number in self.items())})"

    def total(self, operation: str | None = None) -> int:
        """Number of operations of one kind at any width, or of every kind."""
        if operation is None:
            return sum(self._counts.values())
        return sum(number for (op, _), number in self._counts.items() if op == operation)

    def by_operation(self) -> dict[str, int]:
        """Number of operations by kind, widths added up."""
        return {op: self.total(op) for op in OPERATIONS if self.total(op)}


def _in_order(totals: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Counts by operation and width, in that order: equal counts are equal records whatever they were summed from."""
    return dict(sorted(totals.items())) if len(totals) > 1 else totals


def sum_counts(counts: Iterable[OpCounts]) -> OpCounts:
    """Sum of any number of counts (the empty sum is free: ``OpCounts()``)."""
    return OpCounts(pair for one in counts for pair in one.items())


def sum_by_key(pairs: Iterable[tuple[Key, Number]]) -> dict[Key, Number]:
    """Sum of the numbers of each key, in the order of the pairs.

    Examples
    --------
    >>> sum_by_key([("add", 2), ("mul", 1), ("add", 3)])
    {'add': 5, 'mul': 1}
    """
    totals: dict[Key, Number] = {}
    for key, number in pairs:
        totals[key] = totals.get(key, 0) + number
    return totals
