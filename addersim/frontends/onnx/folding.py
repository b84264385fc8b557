"""Operators that read constants alone: their results are constants, none larger than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.onnx.constants import of_images
from addersim.frontends.onnx.file import Array, Node
from addersim.frontends.onnx.folded_arithmetic import COMPUTED
from addersim.frontends.onnx.folded_moves import MOVED

__all__ = ["FOLDED", "fold"]

FOLDED: Mapping[str, Callable[[Node, list[Any]], Any]] = MappingProxyType({**MOVED, **COMPUTED})
"""What is computed from constants, by operator."""

OF_SIZES = frozenset(
    {
        *("Identity", "Add", "Sub", "Mul", "Div", "Neg", "Cast", "Gather", "Concat", "Slice", "Squeeze", "Unsqueeze", "Split"),
        *("Reshape", "Transpose", "ConstantOfShape", "Constant", "Shape", "Size", "Equal", "Where", "Expand", "ScatterND"),
        "ReduceProd",
    }
)
"""What gives the right sizes whatever the number of images; everything else is not computed from it."""


def fold(node: Node, inputs: list[Array | None]) -> Array | tuple[Array, ...]:
    """The value of a node that reads constants only."""
    if node.operator not in OF_SIZES and any(map(of_images, inputs)):
        node.fail("computes with the number of images, in a way in which it cannot stay open")
    try:
        with np.errstate(all="ignore"):
            found: Array | tuple[Array, ...] = FOLDED[node.operator](node, inputs)
            return found
    except LoweringError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError, KeyError, AttributeError):
        node.fail(f"cannot be computed from constants of shapes {[None if x is None else x.shape for x in inputs]}")
