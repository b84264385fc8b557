"""QuantizeLinear and DequantizeLinear around operators on reals.

What stands between them is read as ONNX Runtime's fused integer kernels have it (rule ``ort``: one float32 scale a channel,
ties to even; of int8 activations on x86 it fuses convolutions with session.qdqisint8allowed alone). Where it does not fuse and
runs the operator in float instead, sums depend on the order of additions in float32, and are not meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.tensors import Array, code_type
from addersim.frontends.quantised_values import Coded, Images, Reals, Tail
from addersim.frontends.quantisers import Quantiser, check_scale

__all__ = ["OPERATORS", "dequantised", "quantised", "quantiser"]

CodeType = tuple[int, bool]
"""Width, and whether there is a sign."""
TYPES: Mapping[int, CodeType] = MappingProxyType(
    {2: (8, False), 3: (8, True), 21: (4, False), 22: (4, True), 25: (2, False), 26: (2, True)}
)
"""Types of codes by ONNX's numbers: UINT8 and INT8, UINT4 and INT4, UINT2 and INT2."""
_READ = "codes of 8, 4 and 2 bits"


def _form(call: QuantisedCall, place: int, kind: CodeType | None = None) -> FixedFormat:
    """The format of activations, whose scale is an input and whose zero point the next one."""
    scale = call.constant(place)
    check_scale(scale, call.name_of(place))
    zero = call.optional(place + 1)
    if scale.size != 1 or (zero is not None and zero.size != 1):
        call.fail(f"scale {call.name_of(place)!r} of shape {scale.shape}; activations have one scale and one zero point")
    found = kind or TYPES[2]
    if zero is not None:
        found = code_type(zero.dtype) or call.fail(f"zero point {call.name_of(place + 1)!r} is {zero.dtype}; read are {_READ}")
    try:
        return FixedFormat(*found, float(scale.reshape(())), 0 if zero is None else int(zero.reshape(())))
    except FormatError as error:
        return call.fail(f"scale {call.name_of(place)!r}: {error}")


def quantiser(call: QuantisedCall, place: int, kind: CodeType | None = None) -> Quantiser:
    """What makes codes by a scale and a zero point."""
    form = _form(call, place, kind)
    return Quantiser(form, form.minimum, form.maximum)


def quantised(call: QuantisedCall, value: Any, how: Quantiser) -> Any:
    """Codes of a value."""
    if isinstance(value, Tail):
        return Tail(value.value, (*value.left_out, call.node.operator))
    return call.building.quantised(value, how, call.title)


def _quantized(call: QuantisedCall) -> Any:
    call.plain.only("axis", "saturate", "output_dtype", "precision", block_size=0)
    kind = call.plain.attribute("output_dtype", 0)
    if kind not in (0, *TYPES):
        call.fail(f"attribute output_dtype: {kind}; read are {_READ}")
    value = call.input(0)
    if flow_of(value) is None:
        return _constant_codes(call, call.constant(0).astype(np.float32), TYPES.get(kind))
    return quantised(call, value, quantiser(call, 1, TYPES.get(kind)))


def _constant_codes(call: QuantisedCall, reals: Array, kind: CodeType | None) -> Array:
    """Codes of constants that the file holds as reals, weights mostly: of one scale, or of one for each place of an axis."""
    bits, signed = kind or TYPES[2]
    zero = call.optional(2)
    if zero is None:
        zero = np.zeros(1, np.int8 if signed else np.uint8)
        if bits != 8:
            call.fail(f"makes codes of {bits} bits of {call.name_of(0)!r} without a zero point; give one of their type")
    found = code_type(zero.dtype) or call.fail(f"zero point {call.name_of(2)!r} is {zero.dtype}; read are {_READ}")
    form = FixedFormat(*found)
    scale, whole = _along_axis(call, 1, reals.shape, zero)
    with np.errstate(over="ignore"):
        steps = np.rint(reals / scale.astype(np.float32)) + whole
    if not np.isfinite(reals).all():
        call.fail(f"{call.name_of(0)!r} holds what is no finite number")
    codes: Array = np.clip(steps, form.minimum, form.maximum).astype(form.dtype).astype(zero.dtype)
    return codes


def dequantised(call: QuantisedCall, place: int, scale: int) -> Any:
    """What codes stand for, by a scale and a zero point after it; of constants `Coded`, or reals of 32-bit numbers."""
    value = call.input(place)
    if isinstance(value, Tail):
        return Tail(value.value, (*value.left_out, call.node.operator))
    if isinstance(value, np.ndarray):
        return _constant(call, value, scale)
    if isinstance(value, Images):
        form = _form(call, scale, (8, call.building.signed_image))
        call.building.start(form)
        return Reals(value.flow, form)
    codes = call.codes(place)
    form = _form(call, scale, (codes.form.bits, codes.form.signed))
    if form != codes.form:
        call.fail(f"reads codes in {codes.form} as {form}: scale {call.name_of(scale)!r} is another than made them")
    return Reals(codes.flow, form)


def _constant(call: QuantisedCall, codes: Array, place: int) -> Any:
    zero = call.optional(place + 1)
    if zero is not None and zero.dtype != codes.dtype:
        call.fail(f"zero point {call.name_of(place + 1)!r} is {zero.dtype} beside codes of {codes.dtype}; both have one type")
    scale, zero = _along_axis(call, place, codes.shape, np.zeros(1, codes.dtype) if zero is None else zero)
    if codes.dtype.kind == "i" and codes.dtype.itemsize > 2:
        return ((codes - zero) * scale.astype(np.float64)).astype(np.float64)
    kind = code_type(codes.dtype)
    if kind is None:
        call.fail(f"{call.name_of(0)!r} is {codes.dtype}; read are {_READ}, and biases of int32")
    form = FixedFormat(*kind)
    if zero.min() < form.minimum or zero.max() > form.maximum:
        call.fail(f"zero point {call.name_of(place + 1)!r} holds {zero.min()}..{zero.max()}, no codes of {codes.dtype}")
    return Coded(codes.astype(form.dtype), scale.astype(np.float32), zero, form)


def _along_axis(call: QuantisedCall, place: int, shape: tuple[int, ...], zero: Array) -> tuple[Array, Array]:
    """Scales and zero points (int32) of a constant, of as many axes as it has where there are several."""
    scale = call.constant(place)
    check_scale(scale, call.name_of(place))
    axis = call.plain.attribute("axis", 1) if "Linear" in call.node.operator and "QLinear" not in call.node.operator else 0
    axis = len(shape) - 1 if call.node.operator == "QLinearMatMul" else axis
    if scale.size > 1:
        if scale.ndim != 1 or not -len(shape) <= axis < len(shape) or shape[axis] != scale.size:
            call.fail(f"scale {call.name_of(place)!r} of shape {scale.shape} does not fit axis {axis} of {shape}")
        scale = scale.reshape([-1 if one == axis % len(shape) else 1 for one in range(len(shape))])
    zero = zero.astype(np.int32)
    if zero.size > 1 or scale.size > 1:
        if zero.size not in (1, scale.size):
            call.fail(f"zero point {call.name_of(place + 1)!r} has {zero.size} values for {scale.size} scales")
        zero = np.broadcast_to(zero.reshape(-1), scale.size).reshape(scale.shape)
    return scale, zero


def _dequantized(call: QuantisedCall) -> Any:
    call.plain.only("axis", "output_dtype", block_size=0)
    return dequantised(call, 0, 1)


def _dynamic(call: QuantisedCall) -> Any:
    call.fail("makes a scale of each image; quantise the network statically, with calibration")


OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {"QuantizeLinear": _quantized, "DequantizeLinear": _dequantized, "DynamicQuantizeLinear": _dynamic}
    | {"com.microsoft.QuantizeLinear": _quantized, "com.microsoft.DequantizeLinear": _dequantized}
)
