"""Functions of each number of what codes stand for, and products of two values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_functions import (
    elu,
    gelu,
    gelu_of_tanh,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    mish,
    sigmoid,
    softplus,
)
from addersim.frontends.quantised_values import Product, Reals, Value
from addersim.frontends.torch.call import as_array
from addersim.frontends.torch.quantised.call import Call

__all__ = ["OPERATORS", "applied"]

Array = np.ndarray[Any, Any]
Row = Callable[[Call], Any]


def applied(call: Call, function: Callable[[Array], Array]) -> Reals:
    """What codes stand for after a function of each number."""
    value = call.value
    if not isinstance(value, Reals):
        raise LoweringError("of reals that were not made codes; quantise what it reads")
    return call.building.unfilled(value, call.name).after(function)


def _of(function: Callable[..., Array], *arguments: str) -> Row:
    """A function with numbers from the operator's arguments."""
    return lambda call: applied(call, lambda x: function(x, *(float(as_array(call.arguments[name])) for name in arguments)))


def _elu(call: Call) -> Reals:
    if any(float(call.arguments[name]) != 1 for name in ("scale", "input_scale")):
        raise LoweringError("has scales of its own; read is one with alpha alone")
    return applied(call, lambda x: elu(x, float(call.arguments["alpha"])))


def _gelu(call: Call) -> Reals:
    return applied(call, gelu if call.arguments["approximate"] == "none" else gelu_of_tanh)


def _product(call: Call) -> Any:
    first, second = (call.arguments[name] for name in ("self", "other"))
    if isinstance(first, Value) and isinstance(second, Value):
        return Product(flow=Flow("", call.find_shapes()[0]), first=call.reals(first), second=call.reals(second))
    return _by_number(np.multiply)(call)


def _by_number(operation: Callable[[Array, Array], Array]) -> Row:
    """Arithmetic with one number, on the right."""

    def row(call: Call) -> Reals:
        number = as_array(call.arguments["other"]).astype(np.float32)
        if number.size != 1 or float(call.arguments.get("alpha", 1)) != 1:
            raise LoweringError(f"computes with constants of shape {number.shape}; read is one number")
        return applied(call, lambda x: operation(x, number.reshape(())))

    return row


BY_NUMBER: Mapping[str, Row] = MappingProxyType({"add": _by_number(np.add), "sub": _by_number(np.subtract)})
"""Arithmetic of two values where the second is one number."""

OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "abs": _of(np.abs),
        "div": _by_number(np.divide),
        "elu": _elu,
        "exp": _of(np.exp),
        "gelu": _gelu,
        "hardsigmoid": lambda call: applied(call, lambda x: hard_sigmoid(x, 1 / 6, 0.5)),
        "hardswish": _of(hard_swish),
        "leaky_relu": _of(leaky_relu, "negative_slope"),
        "mish": _of(mish),
        "mul": _product,
        "neg": _of(np.negative),
        "sigmoid": _of(sigmoid),
        "silu": lambda call: applied(call, lambda x: x * sigmoid(x)),
        "softplus": _of(softplus),
        "sqrt": _of(np.sqrt),
        "sub": BY_NUMBER["sub"],
        "tanh": _of(np.tanh),
    }
)
