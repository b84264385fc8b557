"""Operators on values that depend on the images: a row each, from a `Call` to the name of the layer that gives the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from addersim.frontends.tflite import arithmetic, extremes, functions, moves, pooling, resizing, roots, slicing, windows
from addersim.frontends.tflite.call import Call

__all__ = ["MERGED", "OPERATORS", "SEVERAL"]

OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        **arithmetic.OPERATORS,
        **extremes.OPERATORS,
        **functions.OPERATORS,
        **moves.OPERATORS,
        **pooling.OPERATORS,
        **resizing.OPERATORS,
        **roots.OPERATORS,
        **slicing.OPERATORS,
        **windows.OPERATORS,
    }
)
"""How an operator becomes layers."""
SEVERAL = slicing.SEVERAL
"""How an operator of several outputs becomes layers: the name of the one that gives each."""
MERGED = frozenset(
    {"FULLY_CONNECTED", "RESHAPE", *arithmetic.OPERATORS, *extremes.OPERATORS, *functions.OPERATORS, *roots.OPERATORS}
)
"""Operators that may read or give images which are positions of images: what they compute of one needs no other."""
