"""Operators that treat every value, or every channel, alike, and those of several values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends import pointwise
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Call
from addersim.frontends.onnx.file import Array

__all__ = ["OPERATORS"]

Row = Callable[[Call], Any]

MARGIN = 1e30
"""Beyond any activation: exporters write a missing bound of Clip as the largest number of the type."""


def _function(what: str, **numbers: float) -> Row:
    """A function of one value, with attributes and their defaults in the order of its constants."""

    def row(call: Call) -> Flow:
        call.only(*numbers)
        found = [call.attribute(name, default) for name, default in numbers.items()]
        return pointwise.function(call.graph, call.name, call.flow(), what, *found)

    return row


def _combine(what: pointwise.Binary) -> Row:
    def row(call: Call) -> Flow:
        call.only()
        first, second = (call.input(place) for place in range(2))
        return _two(call, call.name, what, first, second)

    return row


def _two(call: Call, name: str, what: pointwise.Binary, first: Any, second: Any) -> Flow:
    if isinstance(first, Flow) and isinstance(second, Flow):
        return pointwise.binary(call.graph, name, what, first, second)
    if isinstance(first, Flow) and isinstance(second, np.ndarray):
        return pointwise.with_constant(call.graph, name, what, first, second)
    if isinstance(second, Flow) and isinstance(first, np.ndarray):
        return pointwise.with_constant(call.graph, name, what, second, first, swapped=True)
    return call.fail("reads one number an image that has no axis of its own, or an operand is missing")


def _several(what: pointwise.Binary) -> Row:
    """Any number of values and constants."""

    def row(call: Call) -> Flow:
        call.only()
        constants = [one for one in call.inputs if isinstance(one, np.ndarray)]
        flows = [call.flow(place) for place, one in enumerate(call.inputs) if not isinstance(one, np.ndarray)]
        found = flows[0]
        for place, one in enumerate(flows[1:], 2):
            name = call.name if place == len(call.inputs) else f"{call.name}.{place}"
            found = pointwise.binary(call.graph, name, what, found, one)
        if constants:
            operation = {"add": np.add, "max": np.maximum, "min": np.minimum}[what]
            found = _two(call, call.name, what, found, functools.reduce(operation, constants))
        return found

    return row


def _mean(call: Call) -> Flow:
    total = _several("add")(call)
    return pointwise.scaled(call.graph, f"{call.name}.mean", total, 1 / len(call.inputs))


def _power(call: Call) -> Flow:
    call.only()
    if isinstance(call.input(0), np.ndarray):
        return _exponential(call)
    exponents = call.constant(1, "the exponent")
    if exponents.size == 0 or (exponents != exponents.flat[0]).any():
        call.fail(f"exponents of shape {exponents.shape} that differ; one number is supported")
    pointwise.image_free(exponents, call.flow().rank)
    return pointwise.power(call.graph, call.name, call.flow(), float(exponents.flat[0]))


def _exponential(call: Call) -> Flow:
    """A constant to the power of a value: ``exp(log(constant) * value)``."""
    base = call.constant(0, "the base")
    if (base <= 0).any():
        call.fail("a base that is not positive to the power of a value")
    logarithm = pointwise.with_constant(call.graph, f"{call.name}.log", "mul", call.flow(1), np.log(base.astype(np.float64)))
    return pointwise.function(call.graph, call.name, logarithm, "exp")


def _negate(call: Call) -> Flow:
    call.only()
    return pointwise.scaled(call.graph, call.name, call.flow(), -1.0)


def _relu(call: Call) -> Flow:
    call.only("consumed_inputs")
    return pointwise.clip(call.graph, call.name, call.flow(), 0.0, None)


def _clip(call: Call) -> Flow:
    call.only("min", "max")
    low, high = call.number(1, "min", -np.inf), call.number(2, "max", np.inf)
    if math.isnan(low) or math.isnan(high):
        call.fail("clips to NaN")
    ends = (None if low <= -MARGIN else low, None if high >= MARGIN else high)
    return pointwise.clip(call.graph, call.name, call.flow(), *ends)


def _prelu(call: Call) -> Flow:
    call.only()
    flow, slopes = call.flow(), call.constant(1, "the slopes")
    slopes = pointwise.image_free(slopes, flow.rank)
    wide = slopes.reshape((1,) * (flow.rank - slopes.ndim) + slopes.shape)
    if slopes.size == 1 or wide.shape == (flow.shape[0], *[1] * (flow.rank - 1)):
        return pointwise.function(call.graph, call.name, flow, "prelu", slopes=slopes)
    if any(size not in (1, have) for size, have in zip(wide.shape, flow.shape, strict=True)):
        call.fail(f"slopes of shape {slopes.shape} for values of shape {flow.shape}")
    above = pointwise.clip(call.graph, f"{call.name}.above", flow, 0.0, None)
    below = pointwise.clip(call.graph, f"{call.name}.below", flow, None, 0.0)
    sloped = pointwise.with_constant(call.graph, f"{call.name}.slopes", "mul", below, wide)
    return pointwise.binary(call.graph, call.name, "add", above, sloped)


def _gelu(call: Call) -> Flow:
    call.only("approximate")
    kind = call.attribute("approximate", "none")
    if kind not in ("none", "tanh"):
        call.fail(f"attribute approximate: {kind!r} is not one of none, tanh")
    return pointwise.function(call.graph, call.name, call.flow(), "gelu" if kind == "none" else "gelu_tanh")


def _fast_gelu(call: Call) -> Flow:
    """onnxruntime's, with a bias before it."""
    call.only()
    flow, bias = call.flow(), call.optional(1, "bias")
    if bias is not None:
        flow = pointwise.with_constant(call.graph, f"{call.name}.bias", "add", flow, bias)
    return pointwise.function(call.graph, call.name, flow, "gelu_tanh")


def _threshold(call: Call) -> Flow:
    call.only("alpha")
    return pointwise.function(call.graph, call.name, call.flow(), "threshold", call.attribute("alpha", 1.0), 0.0)


def _shrink(call: Call) -> Flow:
    call.only("bias", "lambd")
    bound, bias = call.attribute("lambd", 0.5), call.attribute("bias", 0.0)
    if bound < 0:
        call.fail(f"attribute lambd: {bound}; at least 0 is supported")
    if bias == bound:
        return pointwise.function(call.graph, call.name, call.flow(), "soft_shrink", bound)
    hard = pointwise.function(call.graph, f"{call.name}.hard" if bias else call.name, call.flow(), "hard_shrink", bound)
    if not bias:
        return hard
    sign = pointwise.function(call.graph, f"{call.name}.sign", hard, "sign")
    return pointwise.binary(call.graph, call.name, "sub", hard, pointwise.scaled(call.graph, f"{call.name}.bias", sign, bias))


def _where(call: Call) -> Flow:
    """Values where a constant condition holds, and others where it does not."""
    call.only()
    condition = call.constant(0, "the condition").astype(bool)
    weights = (condition.astype(np.float64), 1.0 - condition)
    parts = [_masked(call, place, weight) for place, weight in zip((1, 2), weights, strict=True)]
    return _two(call, call.name, "add", *parts)


def _masked(call: Call, place: int, weight: Array) -> Flow | Array:
    """What `Where` takes of one side: zeros elsewhere."""
    given = call.input(place)
    if not isinstance(given, np.ndarray):
        return pointwise.with_constant(call.graph, f"{call.name}.{place}", "mul", call.flow(place), weight)
    found = np.where(weight != 0, given.astype(np.float64), 0.0)
    if not np.isfinite(found).all():
        call.fail("fills with NaN or infinite values; only finite numbers have codes")
    return np.asarray(found)


_ALIKE = {
    "Abs": "abs",
    "Acos": "acos",
    "Acosh": "acosh",
    "Asin": "asin",
    "Asinh": "asinh",
    "Atan": "atan",
    "Atanh": "atanh",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "HardSwish": "hard_swish",
    "Log": "log",
    "Mish": "mish",
    "Reciprocal": "reciprocal",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Tan": "tan",
    "Tanh": "tanh",
}

OPERATORS: Mapping[str, Row] = MappingProxyType(
    {operator: _function(what) for operator, what in _ALIKE.items()}
    | {
        "Add": _combine("add"),
        "Sub": _combine("sub"),
        "Mul": _combine("mul"),
        "Div": _combine("div"),
        "Sum": _several("add"),
        "Max": _several("max"),
        "Min": _several("min"),
        "Mean": _mean,
        "Pow": _power,
        "Neg": _negate,
        "Relu": _relu,
        "Clip": _clip,
        "LeakyRelu": _function("leaky_relu", alpha=0.01),
        "PRelu": _prelu,
        "Elu": _function("elu", alpha=1.0),
        "Selu": _function("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
        "Celu": _function("celu", alpha=1.0),
        "HardSigmoid": _function("hard_sigmoid", alpha=0.2, beta=0.5),
        "Swish": _function("silu", alpha=1.0),
        "ThresholdedRelu": _threshold,
        "Shrink": _shrink,
        "Gelu": _gelu,
        "Where": _where,
        "com.microsoft.Gelu": _function("gelu"),
        "com.microsoft.FastGelu": _fast_gelu,
        "com.microsoft.QuickGelu": _function("silu", alpha=1.702),
    }
)
