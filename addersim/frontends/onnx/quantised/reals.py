"""Operators on what codes stand for, whose results wait until something makes codes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.quantised import pooling, steps, windows
from addersim.frontends.onnx.quantised.call import MOVES, QuantisedCall, flow_of
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_values import (
    Coded,
    Codes,
    Function,
    Images,
    Joined,
    Product,
    Reals,
    Sum,
    Sums,
    Tail,
    Waiting,
)

__all__ = ["OPERATORS", "applied", "joined"]

Row = Callable[[QuantisedCall], Any]


def applied(call: QuantisedCall, value: Any, function: Function, what: str) -> Any:
    """A value after a function of each number."""
    if isinstance(value, Images):
        return replace(value, functions=(*value.functions, function))
    if isinstance(value, Reals):
        value = call.building.unfilled(value, call.title)
        return replace(value, table=function(value.held).astype(np.float32, copy=False))
    if isinstance(value, Sums) and (value.low, value.high) == (None, None):
        if value.flow.fills():
            call.fail("comes behind a border of zeros that lies around sums; make codes of them first")
        return replace(value, functions=(*value.functions, function))
    return call.fail(f"{what} of a {type(value).__name__.lower()} that was not made codes is not read")


def _each(call: QuantisedCall, value: Any, constant: Array) -> Array:
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


def _arithmetic(operation: Callable[[Array, Array], Array], together: type[Waiting] | None) -> Row:
    def row(call: QuantisedCall) -> Any:
        call.plain.only("axis", "broadcast")
        first, second = (call.input(place) for place in (0, 1))
        if flow_of(first) is not None and flow_of(second) is not None:
            if together is None:
                return call.fail("of two values that depend on the images is not read")
            flow = Flow("", _common(call, call.reals(0).flow.shape, call.reals(1).flow.shape))
            return together(first=call.reals(0), second=call.reals(1), flow=flow)  # type: ignore[call-arg]
        place = 0 if flow_of(first) is not None else 1
        value = (first, second)[place]
        constant = call.constant(1 - place)
        if isinstance(value, Sums) and value.whole and operation in (np.add, np.multiply):
            return _whole_sums(call, value, constant, operation)
        if isinstance(value, Waiting) and not isinstance(value, Sums) and operation is np.divide and constant.size == 1:
            return steps.scaled(value, float(constant.reshape(())))
        number = _each(call, value, constant)
        if place:
            return applied(call, value, lambda x: operation(number, x), call.node.operator)
        return applied(call, value, lambda x: operation(x, number), call.node.operator)

    return row


def _whole_sums(call: QuantisedCall, value: Sums, constant: Array, operation: Any) -> Sums:
    """Sums that were scaled by nothing yet, after a whole bias or by their scale."""
    number: Array = _each(call, value, constant)
    if operation is np.multiply:
        return replace(value, step=value.step * number)
    added = constant.reshape(-1).astype(np.float64)
    if (added % 1).any() or np.abs(value.bias + added).max() > windows.LARGEST_BIAS:
        return replace(value, functions=(lambda x: x + number,))
    return replace(value, bias=value.bias + added.astype(np.int64))


def _common(call: QuantisedCall, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    if len(first) != len(second):
        call.fail(f"of images x {first} and images x {second}: they must have as many axes")
    return np.broadcast_shapes(first, second)


def _divided(call: QuantisedCall) -> Any:
    if flow_of(call.input(0)) is None:
        call.fail("divides a constant by what depends on the images, which is not read")
    return _arithmetic(np.divide, None)(call)


def _bounded(call: QuantisedCall, low: float | None, high: float | None) -> Any:
    value = call.input(0)
    if isinstance(value, Waiting):
        return value.clipped(low, high)
    if isinstance(value, Codes):
        return call.building.clipped(value, low, high, call.title)
    ends = -np.inf if low is None else low, np.inf if high is None else high
    return applied(call, value, lambda x: np.clip(x, np.float32(ends[0]), np.float32(ends[1])), call.node.operator)


def _clip(call: QuantisedCall) -> Any:
    call.plain.only("min", "max")
    low, high = (call.plain.number(place, name, math.nan) for place, name in ((1, "min"), (2, "max")))
    return _bounded(call, None if math.isnan(low) else low, None if math.isnan(high) else high)


def _normalised(call: QuantisedCall) -> Any:
    """As ONNX Runtime computes it: a product and a sum in float32 (core/providers/cpu/nn/batch_norm.h)."""
    call.plain.only("epsilon", "momentum", "spatial", training_mode=0)
    gain, bias, mean, variance = (call.constant(place).astype(np.float32) for place in range(1, 5))
    if not (variance + call.plain.attribute("epsilon", 1e-5) > 0).all():
        call.fail(f"variances {call.name_of(4)!r} that are not positive")
    scale = gain / np.sqrt(variance + np.float32(call.plain.attribute("epsilon", 1e-5)))
    value = call.input(0)
    flow = flow_of(value)
    shape = (-1, *[1] * (0 if flow is None else flow.rank - 1))
    factor, addend = (_each(call, value, one.reshape(shape)) for one in (scale, bias - mean * scale))
    return applied(call, value, lambda x: x * factor + addend, call.node.operator)


def _function(function: Callable[..., Array], **defaults: float) -> Row:
    """A function with constants as attributes; of sums that rise and fall with it nothing is read."""

    def row(call: QuantisedCall) -> Any:
        call.plain.only(*defaults)
        numbers = [np.float32(call.plain.attribute(name, default)) for name, default in defaults.items()]
        if isinstance(call.input(0), Sums):
            call.fail("of sums is not read; make codes of them first")
        with np.errstate(over="ignore"):
            return applied(call, call.input(0), lambda x: function(x, *numbers), call.node.operator)

    return row


def _joined(call: QuantisedCall) -> Any:
    """Side by side; of codes in several formats nothing is read, for the file says no format of the whole."""
    call.plain.only("axis")
    values = call.inputs
    first = values[0]
    if not all(isinstance(one, (Codes, Reals)) and type(one) is type(first) for one in values):
        call.fail("joins what is not all codes, or all what codes stand for")
    parts = [call.building.plain(one, call.title) if isinstance(one, Reals) else one for one in values]
    if len({one.form for one in parts}) == 1:
        place = call.plain.axis(call.plain.attribute("axis", 1), parts[0].flow.rank + 1)
        flow = call.building.beside(call.title, [one.flow for one in parts], place, parts[0].form)
        return replace(parts[0], flow=flow)
    if not isinstance(first, Reals):
        call.fail(f"joins codes in {parts[0].form} and {next(one.form for one in parts if one.form != parts[0].form)}")
    return joined(call, parts, call.plain.attribute("axis", 1))


def joined(call: QuantisedCall, parts: Sequence[Reals], axis: int) -> Joined:
    """Reals of several formats along an axis."""
    place = call.plain.axis(axis, parts[0].flow.rank + 1)
    shape = list(parts[0].flow.shape)
    if any(one.flow.rank != len(shape) for one in parts):
        call.fail("joins values of different numbers of axes")
    shape[place] = sum(one.flow.shape[place] for one in parts)
    return Joined(flow=Flow("", tuple(shape)), parts=tuple(parts), axis=place)


def _tail(call: QuantisedCall) -> Tail:
    """What keeps the order of scores and has no layer."""
    value = call.input(0)
    if isinstance(value, Tail):
        return replace(value, left_out=(*value.left_out, call.node.operator))
    flow = flow_of(value)
    if not isinstance(value, (Reals, Sums)) or flow is None:
        call.fail("of what is neither codes nor sums is not read")
    axis = call.plain.attribute("axis", 1 if call.opset < 13 else -1)
    if flow.rank != 1 or axis not in (1, -1):
        call.fail(f"along axis {axis} of images x {flow.shape}; only that of scores at the end is read, and left out")
    return Tail(value, (call.node.operator,))


def _same(call: QuantisedCall) -> Any:
    return call.input(0)


def _cast(call: QuantisedCall) -> Any:
    """Sums of whole numbers as reals; codes as whole numbers."""
    value = call.input(0)
    if isinstance(value, Codes):
        return steps.OPERATORS["Cast"](replace(call, inputs=(steps.of_codes(value),)))
    if call.plain.attribute("to", 0) not in (1, 10, 11) or isinstance(value, Coded):
        raise LoweringError("casts what depends on the images; only sums and reals to floats are read")
    return call.input(0)


def _sigmoid(x: Array) -> Array:
    return np.asarray(np.float32(1) / (np.float32(1) + np.exp(-x)))


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Add": _arithmetic(np.add, Sum),
        "BatchNormalization": _normalised,
        "Cast": _cast,
        "Clip": _clip,
        "Concat": _joined,
        "Div": _divided,
        "Dropout": _same,
        "HardSigmoid": _function(lambda x, a, b: np.clip(a * x + b, np.float32(0), np.float32(1)), alpha=0.2, beta=0.5),
        "HardSwish": _function(lambda x: x * np.clip(x * np.float32(1 / 6) + np.float32(0.5), np.float32(0), np.float32(1))),
        "Identity": _same,
        "LeakyRelu": _function(lambda x, slope: np.where(x >= 0, x, slope * x), alpha=0.01),
        "LogSoftmax": _tail,
        "Mul": _arithmetic(np.multiply, Product),
        "Round": steps.rounded,
        "Relu": lambda call: _bounded(call, 0.0, None),
        "Sigmoid": _function(_sigmoid),
        "Softmax": _tail,
        "Sub": _arithmetic(np.subtract, None),
        "Tanh": _function(np.tanh),
    }
    | dict(MOVES)
    | dict(pooling.OPERATORS)
    | dict(windows.OPERATORS)
)
