"""Operators between dequantisers and quantisers: a row each, from a `Call` to what the node gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import FormatError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_values import (
    Coded,
    Codes,
    Joined,
    Reals,
    Sum,
    Sums,
    Tail,
    Value,
    Waiting,
    sum_ends,
)
from addersim.frontends.quantisers import Quantiser, check_scale
from addersim.frontends.torch import moves
from addersim.frontends.torch.call import as_array
from addersim.frontends.torch.quantised import functions, pooling
from addersim.frontends.torch.quantised.building import weight_codes
from addersim.frontends.torch.quantised.call import Call
from addersim.layers import IntegerWindow

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


def _convolution(call: Call) -> Sums:
    weights, axes = _weights(call), len(call.node.args[1].meta["val"].shape) - 2  # type: ignore[union-attr]
    source = call.reals(call.value)
    if call.arguments.get("transposed") or axes not in (1, 2):
        raise LoweringError("only convolutions over one or two axes are read, and none that is transposed")
    padding = call.arguments["padding"]
    if padding == "same":
        raise LoweringError("padding 'same' is not read; give numbers")
    pads = (0,) * axes if padding == "valid" else call.sizes("padding", axes)
    how = {"stride": call.sizes("stride", axes), "padding": pads, "dilation": call.sizes("dilation", axes)}
    if axes == 1:
        fill = {"stride": 1, "padding": 0, "dilation": 1}
        how = {name: (fill[name], *sizes) for name, sizes in how.items()}
        weights = weights.viewed(np.s_[:, :, None, :])
    found = _window(call, source.flow.image(), source.form, weights, **how, groups=call.arguments["groups"])
    return replace(found, flow=found.flow.like(source.flow))


def _linear(call: Call) -> Sums:
    weights, source = _weights(call), call.reals(call.value)
    weights, last = weights.viewed(np.s_[:, :, None, None]), source.flow.rank - 1
    if not last:
        return _window(call, source.flow, source.form, weights)
    front = source.flow.front(last)
    found = _window(call, front.reshape((front.shape[0], math.prod(front.shape[1:]), 1)), source.form, weights)
    return replace(found, flow=found.flow.reshape((len(weights.codes), *front.shape[1:])).back(last))


def _weights(call: Call) -> Coded:
    found = call.arguments["weight"]
    if not isinstance(found, Coded):
        raise LoweringError("its weights are no codes; quantise weights and activations")
    return found


def _window(call: Call, flow: Flow, form: FixedFormat, weights: Coded, **moving: Any) -> Sums:
    scales, zeros = weights.each(0)
    codes = np.moveaxis(weight_codes(weights.codes), 1, -1)
    layers = call.building.layers
    sums = call.building.layer(
        IntegerWindow,
        f"{call.name}.sums",
        flow,
        datapath="mac",
        weights=layers.kept(codes),
        input_format=form,
        weight_format=FixedFormat(8, codes.dtype == np.int8),
        accumulator=Accumulator(),
        weight_zero_points=zeros.copy() if zeros.any() else None,
        **moving,
    )
    step = form.scale * scales
    bias, addend = _bias(call.arguments.get("bias"), step)
    given = codes.reshape(len(codes), -1).astype(np.int64) - zeros[:, None]
    ends = sum_ends(given, form.minimum - form.zero_point, form.maximum - form.zero_point)
    return Sums(flow=sums, step=step, bias=bias, ends=ends, addend=addend)


def _bias(given: Any, step: Array) -> tuple[Array, Array | None]:
    """A bias in whole steps of the sums, where it is held so; else as reals."""
    none = np.zeros(len(step), np.int64)
    if given is None:
        return none, None
    if isinstance(given, Coded):
        scales, zeros = given.each(0)
        codes = given.codes.astype(np.int64) - zeros
        return (codes, None) if np.allclose(scales, step, rtol=1e-6, atol=0) else (none, codes * scales)
    if isinstance(given, Value):
        raise LoweringError("its bias depends on the images")
    reals = as_array(given).astype(np.float64)
    if not np.isfinite(reals).all():
        raise LoweringError("its bias holds NaN or infinite values")
    return none, reals if reals.any() else None


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
    value, kind = call.value, str(call.node.target._schema.name).removeprefix("aten::")  # type: ignore[union-attr]
    if not isinstance(value, (Reals, Sums)) or value.flow.rank != 1 or int(call.arguments["dim"]) not in (1, -1):
        raise LoweringError("is read, and left out, of scores at the end alone")
    return Tail(value, (kind,))


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
        "conv1d": _convolution,
        "conv2d": _convolution,
        "convolution": _convolution,
        "linear": _linear,
        "relu": _bounded(0.0, None),
        "relu6": _bounded(0.0, 6.0),
        "hardtanh": _hardtanh,
        "clamp": _clamp,
        "add": _add,
        "sub": _subtract,
    }
    | dict(functions.OPERATORS)
    | dict(pooling.OPERATORS)
)
"""What reads each operator; the names of ATen's without their domain."""
