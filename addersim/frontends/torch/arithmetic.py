"""ATen operators that combine two values or more: of each either may be a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends import pointwise
from addersim.frontends.flow import Flow
from addersim.frontends.torch.call import Call, as_array

__all__ = ["OPERATORS"]


def _combined(call: Call, name: str, what: pointwise.Binary, first: Any, second: Any) -> Any:
    """An operation of two, each a value or a constant; a constant where both are."""
    if isinstance(first, Flow) and isinstance(second, Flow):
        return pointwise.binary(call.graph, name, what, first, second)
    if isinstance(first, Flow):
        return pointwise.with_constant(call.graph, name, what, first, as_array(second))
    if isinstance(second, Flow):
        return pointwise.with_constant(call.graph, name, what, second, as_array(first), swapped=True)
    return _OF_CONSTANTS[what](as_array(first).astype(np.float64), as_array(second).astype(np.float64))


_OF_CONSTANTS: Mapping[pointwise.Binary, Callable[..., Any]] = MappingProxyType(
    {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum}
)


def _times(call: Call, value: Any, factor: float, name: str) -> Any:
    """A value or constant times a number, which adds no layer where it is 1."""
    if isinstance(value, Flow):
        return value if factor == 1 else pointwise.scaled(call.graph, f"{call.name}.{name}", value, factor)
    return as_array(value) * factor


def _arithmetic(what: pointwise.Binary) -> Callable[[Call], Any]:
    def row(call: Call) -> Any:
        if call.get("rounding_mode") is not None:
            raise LoweringError(f"division that rounds ({call['rounding_mode']}) is not supported")
        second = _times(call, call["other"], call.get("alpha", 1), "alpha")
        return _combined(call, call.name, what, call["self"], second)

    return row


def _reversed_subtraction(call: Call) -> Any:
    return _combined(call, call.name, "sub", call["other"], _times(call, call["self"], call["alpha"], "alpha"))


def _added(what: pointwise.Binary) -> Callable[[Call], Any]:
    """``self + value * (tensor1 what tensor2)``."""

    def row(call: Call) -> Any:
        both = _combined(call, f"{call.name}.{what}", what, call["tensor1"], call["tensor2"])
        return _combined(call, call.name, "add", call["self"], _times(call, both, call["value"], "value"))

    return row


def _between(call: Call) -> Any:
    """``self + weight * (end - self)``."""
    way = _combined(call, f"{call.name}.sub", "sub", call["end"], call["self"])
    part = _combined(call, f"{call.name}.mul", "mul", way, call["weight"])
    return _combined(call, call.name, "add", call["self"], part)


def _clamped(call: Call) -> Any:
    """Between two numbers a clip; tensors and values are the larger and the smaller of two, the lower end first."""
    ends = [call.arguments.get(name) for name in ("min", "max")]
    if not any(isinstance(one, Flow) or np.size(as_array(one)) > 1 for one in ends if one is not None):
        low, high = (None if call.arguments.get(name) is None else call.number(name) for name in ("min", "max"))
        return pointwise.clip(call.graph, call.name, call.operand, low, high)
    value: Any = call["self"]
    for what, end in zip(("max", "min"), ends, strict=True):
        if end is not None:
            value = _combined(call, f"{call.name}.{what}", what, value, end)  # type: ignore[arg-type]
    return value


OPERATORS: Mapping[str, Callable[[Call], Any]] = MappingProxyType(
    {
        "add": _arithmetic("add"),
        "sub": _arithmetic("sub"),
        "subtract": _arithmetic("sub"),
        "rsub": _reversed_subtraction,
        "mul": _arithmetic("mul"),
        "multiply": _arithmetic("mul"),
        "div": _arithmetic("div"),
        "divide": _arithmetic("div"),
        "true_divide": _arithmetic("div"),
        "maximum": _arithmetic("max"),
        "minimum": _arithmetic("min"),
        "addcmul": _added("mul"),
        "addcdiv": _added("div"),
        "lerp": _between,
        "clamp": _clamped,
        "clip": _clamped,
        "clamp_min": _clamped,
        "clamp_max": _clamped,
    }
)
"""Rows as those of `addersim.frontends.torch.aten.OPERATORS`."""
