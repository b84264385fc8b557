"""Operators between dequantisers and quantisers: a row each, from a `Call` to what the node gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_values import Coded, Codes, Joined, Reals, Sum, Sums, Tail, Value, Waiting
from addersim.frontends.quantisers import Quantiser, check_scale
from addersim.frontends.torch import moves
from addersim.frontends.torch.call import as_array
from addersim.frontends.torch.quantised import functions, pooling, windows
from addersim.frontends.torch.quantised.call import Call

__all__ = ["OPERATORS", "coded"]

Array = np.ndarray[Any, Any]
Row = Callable[[Call], Any]
TYPES = {"int8": (8, True), "uint8": (8, False), "int16": (16, True), "uint16": (16, False)}
"""Width and sign of the types of codes that depend on images."""


def coded(arguments: Mapping[str, Any]) -> Coded:
    """A constant of codes, from the arguments of a dequantiser."""
    scale, zero = (
        arguments.get(plural, arguments.get(one)) for plural, one in (("scales", "scale"), ("zero_points", "zero_point"))
    )
    codes, scales = as_array(arguments["input"]), np.atleast_1d(as_array(scale)).astype(np.float64)
    zeros = np.zeros(1, np.int32) if zero is None else np.atleast_1d(as_array(zero)).astype(np.int32)
    check_scale(scales, "of weights")
    axis = arguments.get("axis", 0) % max(1, codes.ndim)
    for what, found in (("scales", scales), ("zero points", zeros)):
        if found.size not in (1, codes.shape[axis] if codes.ndim else 1):
            raise LoweringError(f"has {found.size} {what} for {codes.shape[axis]} places along axis {axis} of its weights")
    along = [-1 if place == axis else 1 for place in range(codes.ndim)]
    scales, zeros = scales.reshape(along if scales.size > 1 else 1), zeros.reshape(along if zeros.size > 1 else 1)
    return Coded(codes, scales, zeros, FixedFormat(8, codes.dtype.kind == "i"))


def _quantiser(call: Call) -> Quantiser:
    given = call.arguments
    scale, zero, low, high = (as_array(given[name]) for name in ("scale", "zero_point", "quant_min", "quant_max"))
    if scale.size != 1 or zero.size != 1:
        raise LoweringError("has several scales; activations have one")
    kind = str(given["dtype"]).removeprefix("torch.")
    if kind not in TYPES:
        raise LoweringError(f"codes of type {kind}; read are {', '.join(TYPES)}")
    bits, signed = TYPES[kind]
    try:
        form = FixedFormat(bits, signed, float(scale), int(zero))
    except FormatError as error:
        raise LoweringError(str(error)) from None
    if not form.minimum <= int(low) <= int(high) <= form.maximum:
        raise LoweringError(f"codes of {int(low)}..{int(high)} of type {kind}")
    return Quantiser(form, int(low), int(high), "torch")


def _quantise(call: Call) -> Any:
    if isinstance(call.value, Tail):
        return call.value
    return call.building.quantised(call.value, _quantiser(call), call.name)


def _dequantise(call: Call) -> Any:
    if isinstance(call.value, Tail):
        return call.value
    value, how = call.value, _quantiser(call)
    if not isinstance(value, Codes) or how.form != value.form:
        held = value.form if isinstance(value, Codes) else "no codes"
        raise LoweringError(f"reads {held} as codes in {how.form}")
    return Reals(value.flow, value.form)


def _bounded(low: float | None, high: float | None) -> Row:
    return lambda call: _between(call, low, high)


def _hardtanh(call: Call) -> Any:
    return _between(call, *(float(as_array(call.arguments[name])) for name in ("min_val", "max_val")))


def _clamp(call: Call) -> Any:
    ends = (call.arguments.get(name) for name in ("min", "max"))
    return _between(call, *(None if one is None else float(as_array(one)) for one in ends))


def _between(call: Call, low: float | None, high: float | None) -> Any:
    value = call.value
    if isinstance(value, Waiting):
        return value.clipped(low, high)
    if isinstance(value, Reals):
        value = call.building.unfilled(value, call.name)
        least, most = (np.float32(far if end is None else end) for end, far in ((low, -np.inf), (high, np.inf)))
        return replace(value, table=np.clip(value.held, least, most))
    raise LoweringError("of reals that were not made codes; quantise what it reads")


def _add(call: Call) -> Any:
    return _of_two(call, subtract=False)


def _subtract(call: Call) -> Any:
    return _of_two(call, subtract=True)


def _of_two(call: Call, subtract: bool) -> Any:
    """Two values that depend on the images, or one and a constant."""
    if not all(isinstance(call.arguments[name], Value) for name in ("self", "other")):
        return functions.BY_CONSTANT["sub" if subtract else "add"](call)
    if float(call.arguments.get("alpha", 1)) != 1:
        raise LoweringError(f"adds or takes off {call.arguments['alpha']} times a value; read is once")
    a, b = (call.reals(call.arguments[name]) for name in ("self", "other"))
    return Sum(flow=Flow("", call.find_shapes()[0]), first=a, second=b, subtract=subtract)


def _joined(call: Call) -> Joined:
    parts = tuple(call.reals(one) for one in call.arguments["tensors"])
    shape = call.find_shapes()[0]
    axis = int(call.arguments["dim"]) % (len(shape) + 1)
    if not axis:
        raise LoweringError("joins along the images' axis: images would no longer be independent of each other")
    return Joined(flow=Flow("", shape), parts=parts, axis=axis - 1)


def _tail(call: Call) -> Tail:
    """A softmax at the end, which keeps the order of scores."""
    value = call.value
    if not isinstance(value, (Reals, Sums)) or value.flow.rank != 1 or int(call.arguments["dim"]) not in (1, -1):
        raise LoweringError("is read, and left out, of scores at the end alone")
    return Tail(value, (call.kind,))


def _move(call: Call) -> Any:
    value = call.value
    if not isinstance(value, Value):
        raise LoweringError("works on a constant in a way that is not read")
    return call.rearranged(value)


_JOINS = ("cat", "concat", "concatenate")
OPERATORS: Mapping[str, Row] = MappingProxyType(
    dict.fromkeys(
        (name for name in moves.OPERATORS if name not in ("stack", "slice_scatter", "select_scatter", "copy")), _move
    )
    | dict.fromkeys(_JOINS, _joined)
    | dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), _tail)
    | {
        "quantized_decomposed::quantize_per_tensor": _quantise,
        "quantized_decomposed::dequantize_per_tensor": _dequantise,
        "relu": _bounded(0.0, None),
        "relu6": _bounded(0.0, 6.0),
        "hardtanh": _hardtanh,
        "clamp": _clamp,
        "add": _add,
        "sub": _subtract,
    }
    | dict(functions.OPERATORS)
    | dict(pooling.OPERATORS)
    | dict(windows.OPERATORS)
)
"""What reads each operator; the names of ATen's without their domain."""
