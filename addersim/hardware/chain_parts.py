"""A chain of layers cut into parts that run depth first, and layers that run alone: the cut of the least value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Part", "Value", "added_values", "least_parts"]

Value = tuple[float, ...]
"""What is to be least, the most important first."""


class Part(NamedTuple):
    """A part of a chain that runs depth first: its layers, from one place of the chain to another, and the rows of its last
    strips; with the value of the objective and the bits that DRAM moves."""

    first: int
    last: int
    strip: int
    value: Value
    dram_bits: float


def least_parts(layers: int, alone: Sequence[Value], parts: Sequence[Part]) -> tuple[Part, ...]:
    """Of all ways to cut a chain, each layer alone or in a part, the parts of the one with the least sum of values.

    Parameters
    ----------
    layers
        Of the chain.
    alone
        Value of each layer by itself.
    parts
        All that there are.

    Examples
    --------
    >>> least_parts(3, [(5.0,), (5.0,), (5.0,)], [Part(0, 1, 4, (8.0,), 0), Part(1, 2, 4, (7.0,), 0)])
    (Part(first=1, last=2, strip=4, value=(7.0,), dram_bits=0),)
    """
    zero = tuple(0.0 for _ in alone[0])
    best: list[tuple[Value, tuple[Part, ...]]] = [(zero, ())]
    for end in range(layers):
        before, chosen = best[end]
        ways = [(added_values(before, alone[end]), chosen)]
        for part in parts:
            if part.last == end:
                before, chosen = best[part.first]
                ways.append((added_values(before, part.value), (*chosen, part)))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def added_values(one: Value, other: Value) -> Value:
    """Values of two layers together."""
    return tuple(a + b for a, b in zip(one, other, strict=True))
