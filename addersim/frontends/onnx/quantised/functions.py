"""Functions of each number of what codes stand for: tables, of which a quantiser makes codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_functions import (
    erf,
    gelu,
    gelu_of_tanh,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    mish,
    per_channel,
    sigmoid,
    softplus,
)
from addersim.frontends.quantised_values import Function, Images, Reals, Sums

__all__ = ["OPERATORS", "applied", "each"]

Row = Callable[[QuantisedCall], Any]
ONE_WAY = frozenset(
    {"Celu", "Elu", "Erf", "Exp", "HardSigmoid", "LeakyRelu", "Neg", "Sigmoid", "Softplus", "Softsign", "Tanh"}
)
"""Functions that never fall, or never rise, where their constants are not negative: codes of them change once a threshold."""


def applied(call: QuantisedCall, value: Any, function: Function, what: str) -> Any:
    """A value after a function of each number."""
    if isinstance(value, Images):
        return replace(value, functions=(*value.functions, function))
    if isinstance(value, Reals):
        return call.building.unfilled(value, call.title).after(function)
    if isinstance(value, Sums) and (value.low, value.high) == (None, None):
        if value.flow.fills():
            call.fail("comes behind a border of zeros that lies around sums; make codes of them first")
        return replace(value, functions=(*value.functions, function))
    return call.fail(f"{what} of a {type(value).__name__.lower()} that was not made codes is not read")


def each(call: QuantisedCall, value: Any, constant: Array) -> Array:
    """A constant as a function of each number takes it: one number, or one a channel of the layer that gives the value."""
    if constant.size == 1:  # of a constant alone no flow is known
        return constant.reshape(1).astype(np.float32)
    flow = flow_of(value)
    assert flow is not None
    channels = flow.given[0] if not isinstance(value, Images) else flow.shape[0]
    try:
        return per_channel(constant, flow, channels)
    except LoweringError as error:
        return call.fail(str(error))


def _function(function: Callable[..., Array], **defaults: float) -> Row:
    """A function with constants as attributes; of sums it is read where it never falls, or never rises."""

    def row(call: QuantisedCall) -> Any:
        call.plain.only(*defaults)
        numbers = [np.float32(call.plain.attribute(name, default)) for name, default in defaults.items()]
        one_way = call.node.operator in ONE_WAY and all(number >= 0 for number in numbers)
        return _of_reals(call, lambda x: function(x, *numbers), one_way)

    return row


def _gelu(call: QuantisedCall) -> Any:
    call.plain.only("approximate")
    how = call.plain.attribute("approximate", "none")
    if how not in ("none", "tanh"):
        call.fail(f"attribute approximate: {how!r}; expected 'none' or 'tanh'")
    return _of_reals(call, gelu if how == "none" else gelu_of_tanh)


def _of_reals(call: QuantisedCall, function: Function, one_way: bool = False) -> Any:
    if isinstance(call.input(0), Sums) and not one_way:
        call.fail("of sums is not read; make codes of them first")
    return applied(call, call.input(0), function, call.node.operator)


def _less_one(x: Array) -> Array:
    """``exp(x) - 1`` with the rounding between, as ONNX Runtime has it (core/providers/cpu/activation/activations.h)."""
    return np.asarray(np.exp(x) - np.float32(1))


def _selu(x: Array, alpha: Any, gamma: Any) -> Array:
    return np.asarray(gamma * (np.maximum(x, 0) + np.minimum(alpha * _less_one(x), 0)))


def _fast_gelu(call: QuantisedCall) -> Any:
    """By the approximation; a bias is added before, one for all or one a channel."""
    call.plain.only()
    value = call.input(0)
    if call.input(1) is None:
        return _of_reals(call, gelu_of_tanh)
    bias = each(call, value, call.constant(1))
    return _of_reals(call, lambda x: gelu_of_tanh(x + bias))


def _leaky(call: QuantisedCall) -> Any:
    """A slope below zero: one number, or one a channel."""
    call.plain.only()
    slope = each(call, call.input(0), call.constant(1))
    return _of_reals(call, lambda x: leaky_relu(x, slope))


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Abs": _function(np.abs),
        "Ceil": _function(np.ceil),
        "Celu": _function(lambda x, a: np.maximum(x, 0) + np.minimum(a * _less_one(x / a), 0), alpha=1.0),
        "Elu": _function(lambda x, alpha: np.where(x >= 0, x, alpha * _less_one(x)), alpha=1.0),
        "Erf": _function(erf),
        "Exp": _function(np.exp),
        "Floor": _function(np.floor),
        "Gelu": _gelu,
        "HardSigmoid": _function(hard_sigmoid, alpha=0.2, beta=0.5),
        "HardSwish": _function(hard_swish),
        "LeakyRelu": _function(leaky_relu, alpha=0.01),
        "Log": _function(np.log),
        "Mish": _function(mish),
        "Neg": _function(np.negative),
        "PRelu": _leaky,
        "Reciprocal": _function(np.reciprocal),
        "Selu": _function(_selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
        "Sigmoid": _function(sigmoid),
        "Sign": _function(np.sign),
        "Softplus": _function(softplus),
        "Softsign": _function(lambda x: x / (1 + np.abs(x))),
        "Sqrt": _function(np.sqrt),
        "Tanh": _function(np.tanh),
        "ThresholdedRelu": _function(lambda x, alpha: np.where(x > alpha, x, np.float32(0)), alpha=1.0),
        "com.microsoft.FastGelu": _fast_gelu,
        "com.microsoft.Gelu": _function(gelu),
        "com.microsoft.QuickGelu": _function(lambda x, alpha: x * sigmoid(alpha * x), alpha=1.702),
    }
)
