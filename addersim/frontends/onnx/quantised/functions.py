"""Functions of each number of what codes stand for: tables, of which a quantiser makes codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_values import Function, Images, Reals, Sums

__all__ = ["OPERATORS", "applied", "each"]

Row = Callable[[QuantisedCall], Any]


def applied(call: QuantisedCall, value: Any, function: Function, what: str) -> Any:
    """A value after a function of each number."""
    if isinstance(value, Images):
        return replace(value, functions=(*value.functions, function))
    if isinstance(value, Reals):
        value = call.building.unfilled(value, call.title)
        table = function(value.held).astype(np.float32, copy=False)
        if np.isnan(table).any():
            call.fail(f"is no number of some codes in {value.form}")
        return replace(value, table=table)
    if isinstance(value, Sums) and (value.low, value.high) == (None, None):
        if value.flow.fills():
            call.fail("comes behind a border of zeros that lies around sums; make codes of them first")
        return replace(value, functions=(*value.functions, function))
    return call.fail(f"{what} of a {type(value).__name__.lower()} that was not made codes is not read")


def each(call: QuantisedCall, value: Any, constant: Array) -> Array:
    """A constant as a function of each number takes it: one number, or one a channel of the layer that gives the value."""
    if constant.size == 1:
        return constant.reshape(1).astype(np.float32)
    flow = flow_of(value)
    assert flow is not None
    rank = flow.rank + 1
    wide = constant.reshape((1,) * (rank - constant.ndim) + constant.shape) if constant.ndim <= rank else constant
    places = [axis for axis, size in enumerate(wide.shape) if size != 1]
    channels = flow.given[0] if not isinstance(value, Images) else flow.shape[0]
    if len(places) == 1 and places[0] and wide.size == channels and flow.front(places[0] - 1).keeps_channels():
        return wide.reshape(-1).astype(np.float32)
    return call.fail(
        f"a constant of shape {constant.shape} beside images x {flow.shape}; expected one number or one a channel"
    )


def _function(function: Callable[..., Array], **defaults: float) -> Row:
    """A function with constants as attributes; of sums that rise and fall with it nothing is read."""

    def row(call: QuantisedCall) -> Any:
        call.plain.only(*defaults)
        numbers = [np.float32(call.plain.attribute(name, default)) for name, default in defaults.items()]
        return _of_reals(call, lambda x: function(x, *numbers))

    return row


def _sigmoid(x: Array) -> Array:
    return np.asarray(np.float32(1) / (np.float32(1) + np.exp(-x)))


_erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float32])


def _softplus(x: Array) -> Array:
    return np.asarray(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))


def _gelu(call: QuantisedCall) -> Any:
    call.plain.only("approximate")
    how = call.plain.attribute("approximate", "none")
    if how not in ("none", "tanh"):
        call.fail(f"attribute approximate: {how!r}; expected 'none' or 'tanh'")
    root = np.float32(math.sqrt(2 / math.pi))

    def function(x: Array) -> Array:
        inner = _erf(x / np.float32(math.sqrt(2))) if how == "none" else np.tanh(root * (x + np.float32(0.044715) * x**3))
        return np.asarray(np.float32(0.5) * x * (1 + inner))

    return _of_reals(call, function)


def _of_reals(call: QuantisedCall, function: Function) -> Any:
    if isinstance(call.input(0), Sums):
        call.fail("of sums is not read; make codes of them first")
    with np.errstate(all="ignore"):
        return applied(call, call.input(0), function, call.node.operator)


def _leaky(call: QuantisedCall) -> Any:
    """A slope below zero: one number, or one a channel."""
    call.plain.only()
    slope = each(call, call.input(0), call.constant(1))
    return _of_reals(call, lambda x: np.where(x >= 0, x, slope * x))


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Abs": _function(np.abs),
        "Celu": _function(lambda x, a: np.maximum(x, 0) + np.minimum(a * np.expm1(x / a), 0), alpha=1.0),
        "Elu": _function(lambda x, a: np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0))), alpha=1.0),
        "Erf": _function(_erf),
        "Exp": _function(np.exp),
        "Gelu": _gelu,
        "HardSigmoid": _function(lambda x, a, b: np.clip(a * x + b, np.float32(0), np.float32(1)), alpha=0.2, beta=0.5),
        "HardSwish": _function(lambda x: x * np.clip(x * np.float32(1 / 6) + np.float32(0.5), np.float32(0), np.float32(1))),
        "LeakyRelu": _function(lambda x, slope: np.where(x >= 0, x, slope * x), alpha=0.01),
        "Log": _function(np.log),
        "Mish": _function(lambda x: x * np.tanh(_softplus(x))),
        "Neg": _function(np.negative),
        "PRelu": _leaky,
        "Reciprocal": _function(np.reciprocal),
        "Sigmoid": _function(_sigmoid),
        "Softplus": _function(_softplus),
        "Softsign": _function(lambda x: x / (1 + np.abs(x))),
        "Sqrt": _function(np.sqrt),
        "Tanh": _function(np.tanh),
    }
)
