"""Operators on values that depend on the images: a row each, from a `Call` to the name of the layer that gives the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from addersim.frontends.tflite import arithmetic, cutting, extremes, functions, moves, pooling, resizing, windows
from addersim.frontends.tflite.call import Call

__all__ = ["OPERATORS", "SEVERAL"]

OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        **arithmetic.OPERATORS,
        **cutting.OPERATORS,
        **extremes.OPERATORS,
        **functions.OPERATORS,
        **moves.OPERATORS,
        **pooling.OPERATORS,
        **resizing.OPERATORS,
        **windows.OPERATORS,
    }
)
"""How an operator becomes layers."""
SEVERAL = cutting.SEVERAL
"""Those that give several tensors."""
