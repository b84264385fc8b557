"""Operators on what codes stand for, whose results wait until something makes codes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx import resize
from addersim.frontends.onnx.quantised import functions, pooling, steps, windows
from addersim.frontends.onnx.quantised.call import MOVES, QuantisedCall, flow_of, moved
from addersim.frontends.onnx.quantised.functions import applied, each
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_values import (
    Coded,
    Codes,
    Joined,
    Product,
    Reals,
    Sum,
    Sums,
    Tail,
    Waiting,
)

__all__ = ["OPERATORS", "joined"]

Row = Callable[[QuantisedCall], Any]


def _arithmetic(operation: Callable[[Array, Array], Array], together: Callable[..., Waiting] | None) -> Row:
    def row(call: QuantisedCall) -> Any:
        call.plain.only("axis", "broadcast")
        first, second = (call.input(place) for place in (0, 1))
        if flow_of(first) is not None and flow_of(second) is not None:
            if together is None:
                return call.fail("of two values that depend on the images is not read")
            flow = Flow("", _common(call, call.reals(0).flow.shape, call.reals(1).flow.shape))
            return together(first=call.reals(0), second=call.reals(1), flow=flow)
        place = 0 if flow_of(first) is not None else 1
        value = (first, second)[place]
        constant = call.constant(1 - place)
        if isinstance(value, Sums) and value.whole and operation in (np.add, np.multiply):
            return _whole_sums(call, value, constant, operation)
        if isinstance(value, Waiting) and not isinstance(value, Sums) and operation is np.divide and constant.size == 1:
            return steps.scaled(value, float(constant.reshape(())))
        number = each(call, value, constant)
        if place:
            return applied(call, value, lambda x: operation(number, x), call.node.operator)
        return applied(call, value, lambda x: operation(x, number), call.node.operator)

    return row


def _extreme(operation: Callable[[Array, Array], Array]) -> Row:
    """The larger or smaller of a value and a constant."""

    def row(call: QuantisedCall) -> Any:
        depend = [flow_of(one) is not None for one in call.inputs]
        if len(depend) != 2 or all(depend):
            call.fail("of several values that depend on the images is not read")
        first, second = call.inputs if depend[0] else reversed(call.inputs)
        given = replace(call, inputs=(first, second))
        number = each(given, first, given.constant(1))
        if number.size == 1:
            ends = (float(number[0]), None) if operation is np.maximum else (None, float(number[0]))
            return _bounded(given, *ends)
        return applied(given, first, lambda x: operation(x, number), call.node.operator)

    return row


def _power(call: QuantisedCall) -> Any:
    call.plain.only()
    value, exponent = call.input(0), call.constant(1)
    if exponent.size != 1 or not isinstance(value, Reals):
        call.fail("is read of what codes stand for, to one constant power")
    number = np.float32(exponent.reshape(()))
    return applied(call, value, lambda x: np.power(x, number), call.node.operator)


def _resized(call: QuantisedCall) -> Any:
    mode = call.plain.attribute("mode", "nearest")
    if mode != "nearest":
        call.fail(f"resizes by mode {mode!r}; read is 'nearest', which computes nothing")
    return moved(resize.OPERATORS[call.node.operator])(call)


def _padded(call: QuantisedCall) -> Any:
    """A border, of what stands for zero alone: of codes that of their zero point."""
    value, filled = call.input(0), 0.0
    if call.plain.attribute("mode", "constant") == "constant":
        filled = call.plain.number(2, "value", 0.0)
    wanted = value.form.zero_point if isinstance(value, Codes) else 0.0
    if isinstance(value, steps.Steps) or filled != wanted:
        call.fail(f"puts {filled:g} around {call.name_of(0)!r}, where zero is {wanted:g}; only borders of zeros are read")
    return MOVES["Pad"](replace(call, inputs=(*call.inputs[:2], None, *call.inputs[3:])))


def _whole_sums(call: QuantisedCall, value: Sums, constant: Array, operation: Any) -> Sums:
    """Sums that were scaled by nothing yet, after a whole bias or by their scale."""
    number: Array = each(call, value, constant)
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
    """As ONNX Runtime computes it: a product and a sum in float32 (core/providers/cpu/nn/batch_norm.h).

    The factor is one over the root, rounded, times the gain: often another float32 than the gain over the root.
    """
    call.plain.only("epsilon", "momentum", "spatial", training_mode=0)
    gain, bias, mean, variance = (call.constant(place).astype(np.float32) for place in range(1, 5))
    if not (variance + call.plain.attribute("epsilon", 1e-5) > 0).all():
        call.fail(f"variances {call.name_of(4)!r} that are not positive")
    scale = np.float32(1) / np.sqrt(variance + np.float32(call.plain.attribute("epsilon", 1e-5))) * gain
    value = call.input(0)
    flow = flow_of(value)
    shape = (-1, *[1] * (0 if flow is None else flow.rank - 1))
    factor, addend = (each(call, value, one.reshape(shape)) for one in (scale, bias - mean * scale))
    return applied(call, value, lambda x: x * factor + addend, call.node.operator)


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


def _chosen(call: QuantisedCall) -> Tail:
    """The place of the largest score at the end, which the scores say, too."""
    call.plain.only("axis", "keepdims", select_last_index=0)
    value = call.input(0)
    flow, axis = flow_of(value), call.plain.attribute("axis", 0)
    if isinstance(value, Tail):
        return replace(value, left_out=(*value.left_out, call.node.operator))
    if not isinstance(value, (Codes, Reals, Sums)) or flow is None or flow.rank != 1 or axis not in (1, -1):
        call.fail(f"along axis {axis} of what is no score at the end; only that of scores is read, and left out")
    return Tail(Reals(value.flow, value.form) if isinstance(value, Codes) else value, (call.node.operator,))


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


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Add": _arithmetic(np.add, Sum),
        "BatchNormalization": _normalised,
        "Cast": _cast,
        "Clip": _clip,
        "Concat": _joined,
        "Div": _divided,
        "Dropout": _same,
        "Identity": _same,
        "LogSoftmax": _tail,
        "Max": _extreme(np.maximum),
        "Min": _extreme(np.minimum),
        "Mul": _arithmetic(np.multiply, Product),
        "Pow": _power,
        "Resize": _resized,
        "Upsample": _resized,
        "Round": steps.rounded,
        "Relu": lambda call: _bounded(call, 0.0, None),
        "Softmax": _tail,
        "ArgMax": _chosen,
        "Sub": _arithmetic(np.subtract, partial(Sum, subtract=True, of_floats=True)),
    }
    | dict(MOVES)
    | {"Pad": _padded}
    | dict(functions.OPERATORS)
    | dict(pooling.OPERATORS)
    | dict(windows.OPERATORS)
)
