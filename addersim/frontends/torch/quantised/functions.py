"""Functions of each number of what codes stand for, and products of two values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_functions import (
    elu,
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
from addersim.frontends.quantised_values import Coded, Product, Reals, Sums, Value
from addersim.frontends.torch.call import as_array
from addersim.frontends.torch.quantised.call import Call

__all__ = ["OPERATORS", "applied"]

Array = np.ndarray[Any, Any]
Row = Callable[[Call], Any]
ONE_WAY = frozenset({"celu", "elu", "erf", "exp", "hardsigmoid", "log_sigmoid", "neg", "selu", "sigmoid", "softplus", "tanh"})
"""Functions that never fall, or never rise: codes of them change once a threshold of what they read."""
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, np.float32(1.0507009873554805)
"""Of torch.nn.SELU."""


def applied(call: Call, function: Callable[[Array], Array]) -> Reals | Sums:
    """What codes stand for after a function of each number; sums, too, where it never falls, or never rises."""
    value = call.value
    if isinstance(value, Sums) and call.kind.removesuffix("_") in ONE_WAY and not value.flow.fills():
        ends = value.low, value.high
        bounded = value.functions if ends == (None, None) else (*value.functions, lambda x: np.clip(x, *ends))
        return replace(value, functions=(*bounded, function), low=None, high=None)
    if not isinstance(value, Reals):
        raise LoweringError("of reals that were not made codes; quantise what it reads")
    return call.building.unfilled(value, call.name).after(function)


def applied_by(call: Call, constant: Array, function: Callable[[Array, Array], Array], *more: Array) -> Reals:
    """The same after a function of each number and a constant, one or one a channel; `more` is added to what it gives."""
    value = call.value
    if not isinstance(value, Reals):
        raise LoweringError("of reals that were not made codes; quantise what it reads")
    value = call.building.unfilled(value, call.name)
    held, *added = (per_channel(one, value.flow, value.flow.given[0]) for one in (constant, *more))
    found: Reals = value.after(lambda x: sum(added, function(x, held)))
    return found


def _reals_of(given: Any) -> Array:
    """A constant in float32: a number, a tensor, or what the codes of one stand for."""
    if isinstance(given, Value):
        raise LoweringError("takes constants that depend on the images; that is not read")
    return given.reals if isinstance(given, Coded) else as_array(given).astype(np.float32)


def _of(function: Callable[..., Array], *arguments: str) -> Row:
    """A function with numbers from the operator's arguments."""
    return lambda call: applied(call, lambda x: function(x, *(float(as_array(call.arguments[name])) for name in arguments)))


def _elu(call: Call) -> Reals | Sums:
    if any(float(call.arguments[name]) != 1 for name in ("scale", "input_scale")):
        raise LoweringError("has scales of its own; read is one with alpha alone")
    return applied(call, lambda x: elu(x, float(call.arguments["alpha"])))


def _celu(call: Call) -> Reals | Sums:
    alpha = np.float32(call.arguments["alpha"])
    return applied(call, lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * (1 / alpha))))


def _softplus(call: Call) -> Reals | Sums:
    """``log(1 + exp(beta x)) / beta``, and x itself where beta x is beyond the threshold."""
    beta, most = (np.float32(call.arguments[name]) for name in ("beta", "threshold"))
    return applied(call, lambda x: np.where(x * beta > most, x, softplus(x * beta) / beta))


def _prelu(call: Call) -> Reals:
    """A slope for all, or one a channel, whose axis is the first behind the images'."""
    slopes = call.arguments["weight"]
    held = _reals_of(slopes).reshape(-1, *[1] * max(0, call.value.flow.rank - 1))
    return applied_by(call, held, leaky_relu)


def _batch_norm(call: Call) -> Reals:
    """As torch computes it at inference: a product and a sum, a channel."""
    given = call.arguments
    if given.get("training"):
        raise LoweringError("in training mode; export the network in evaluation mode")
    mean, variance = (_reals_of(given[name]) for name in ("running_mean", "running_var"))
    gain, bias = (None if given.get(name) is None else _reals_of(given[name]) for name in ("weight", "bias"))
    factor = np.float32(1) / np.sqrt(variance + np.float32(given["eps"])) * (np.float32(1) if gain is None else gain)
    addend = (np.float32(0) if bias is None else bias) - mean * factor
    shape = (-1, *[1] * (call.value.flow.rank - 1))
    return applied_by(call, factor.reshape(shape), lambda x, held: x * held, addend.reshape(shape))


def _gelu(call: Call) -> Reals | Sums:
    return applied(call, gelu if call.arguments["approximate"] == "none" else gelu_of_tanh)


def _product(call: Call) -> Any:
    first, second = (call.arguments[name] for name in ("self", "other"))
    if isinstance(first, Value) and isinstance(second, Value):
        return Product(flow=Flow("", call.find_shapes()[0]), first=call.reals(first), second=call.reals(second))
    return _by_constant(np.multiply)(call)


def _by_constant(operation: Callable[[Array, Array], Array]) -> Row:
    """Arithmetic of a value and a constant, one number or one a channel, on either side."""

    def row(call: Call) -> Reals:
        first, second = call.arguments["self"], call.arguments["other"]
        if float(call.arguments.get("alpha", 1)) != 1:
            raise LoweringError(f"takes its second operand {call.arguments['alpha']} times; read is once")
        if isinstance(first, Value) and isinstance(second, Value):
            raise LoweringError("of two values that both depend on the images; read is one of a value and a constant")
        if isinstance(second, Value):
            swapped = replace(call, arguments=dict(call.arguments) | {"self": second, "other": first})
            return applied_by(swapped, _reals_of(first), lambda x, held: operation(held, x))
        return applied_by(call, _reals_of(second), operation)

    return row


def _divided(call: Call) -> Any:
    if call.arguments.get("rounding_mode") is not None:
        raise LoweringError(f"rounds its quotients ({call.arguments['rounding_mode']}); read are those that stay reals")
    return _by_constant(np.divide)(call)


def _power(call: Call) -> Reals | Sums:
    exponent = _reals_of(call.arguments["exponent"])
    if exponent.size != 1:
        raise LoweringError("has several exponents; read is one number")
    return applied(call, lambda x: np.power(x, exponent.reshape(())))


def _rounded(call: Call) -> Reals | Sums:
    if call.arguments.get("decimals"):
        raise LoweringError(f"rounds to {call.arguments['decimals']} decimals; read is rounding to whole numbers")
    return applied(call, np.rint)


def _taken_off(call: Call) -> Any:
    return _by_constant(lambda x, held: held - x)(call)


BY_CONSTANT: Mapping[str, Row] = MappingProxyType({"add": _by_constant(np.add), "sub": _by_constant(np.subtract)})
"""Arithmetic of two values where one is a constant."""

OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "abs": _of(np.abs),
        "batch_norm": _batch_norm,
        "_native_batch_norm_legit_no_training": _batch_norm,
        "ceil": _of(np.ceil),
        "celu": _celu,
        "div": _divided,
        "elu": _elu,
        "erf": _of(erf),
        "exp": _of(np.exp),
        "floor": _of(np.floor),
        "gelu": _gelu,
        "hardsigmoid": lambda call: applied(call, lambda x: hard_sigmoid(x, 1 / 6, 0.5)),
        "hardswish": _of(hard_swish),
        "log_sigmoid": lambda call: applied(call, lambda x: -softplus(-x)),
        "leaky_relu": _of(leaky_relu, "negative_slope"),
        "mish": _of(mish),
        "mul": _product,
        "neg": _of(np.negative),
        "sigmoid": _of(sigmoid),
        "sign": _of(np.sign),
        "silu": lambda call: applied(call, lambda x: x * sigmoid(x)),
        "pow": _power,
        "prelu": _prelu,
        "round": _rounded,
        "rsub": _taken_off,
        "selu": lambda call: applied(call, lambda x: SELU_SCALE * elu(x, SELU_ALPHA)),
        "softplus": _softplus,
        "sqrt": _of(np.sqrt),
        "square": _of(np.square),
        "tanh": _of(np.tanh),
    }
)
