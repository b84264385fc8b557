"""Operators on values that depend on the images: a row each, from a `Call` to the value that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from addersim.frontends.onnx import arithmetic, convolutions, moves, normalising, resize
from addersim.frontends.onnx.call import Call

__all__ = ["OPERATORS"]

OPERATORS: Mapping[str, Callable[[Call], Any]] = MappingProxyType(
    {**arithmetic.OPERATORS, **convolutions.OPERATORS, **moves.OPERATORS, **normalising.OPERATORS, **resize.OPERATORS}
)
"""How an operator becomes layers; its row gives a flow, a number an image, a constant, or a tuple of these."""
