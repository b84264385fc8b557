"""Functions of one code: a table with an entry a code, filled as TensorFlow Lite computes it.

So are sums, differences, products and the larger or smaller of a value and a constant, whose table has a column a channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.arithmetic.rescaled_sums import dequantised
from addersim.frontends import quantised_functions
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.formats import code_format
from addersim.frontends.tflite.islands import TABLE
from addersim.frontends.tflite.records import Array, Tensor
from addersim.layers import IntegerRescaledAdd, IntegerTable
from addersim.layers.move import Permute, Reshape, Step, Take

__all__ = ["OPERATORS", "codes_of", "of_constant", "product_scale", "reals_of", "table"]

MOST_CHANNELS = 1 << 16
"""Of a constant: each takes a table of its own."""

_INT16 = -(1 << 15), (1 << 15) - 1
_HIGH_BITS = 7
"""Places by which hard swish moves codes left."""


def table(call: Call, entries: Array, place: int = 0, given: str = "") -> str:
    """A layer of a table: output codes for every code of an input, ``(codes,)`` or ``(codes, channels)``."""
    output = call.output_format
    held = np.clip(entries.reshape(len(entries), -1), output.minimum, output.maximum).astype(output.dtype)
    name = call.operator.name.lower()
    source = call.format(place)
    return call.layer(IntegerTable, given or call.flow(place), function=name, source=source, output=output, codes=held)


def codes_of(form: FixedFormat) -> Array:
    return np.arange(form.minimum, form.maximum + 1, dtype=np.int32)


def reals_of(form: FixedFormat) -> Array:
    """What codes stand for, in float32."""
    return dequantised(codes_of(form), form)


def _away(steps: Array, output: FixedFormat) -> Array:
    """Codes of numbers of steps, ties away from zero; in float64, in which adding a half rounds nothing."""
    away = np.copysign(np.floor(np.abs(steps.astype(np.float64)) + 0.5), steps)
    ends = output.minimum - output.zero_point, output.maximum - output.zero_point
    return np.clip(away, *ends).astype(np.int64) + output.zero_point


def _of_reals(function: Callable[[Array], Array]) -> Callable[[Call], str]:
    """A function of real values in float32, ties away from zero (kernels/internal/common.h: LUTPopulate)."""

    def looked_up(call: Call) -> str:
        given, output = call.format(), call.output_format
        with np.errstate(over="ignore"):
            steps = function(reals_of(given)) * (np.float32(1) / np.float32(output.scale))
        if not np.isfinite(steps).all():
            call.fail(f"codes in {given} become {output}, whose scale is too fine for float32")
        return table(call, _away(steps, output))

    return looked_up


def _of_floats(call: Call) -> str:
    """Functions of floats, already worked out for each code (kernels/internal/reference/quantize.h: ties away from zero)."""
    given, output, reals = call.format(), call.output_format, call.option("Reals", np.zeros(0, np.float32))
    steps = reals / np.float32(output.scale)
    words = " and ".join(call.option("Steps", ()))
    if not np.isfinite(steps).all():
        code = codes_of(given)[~np.isfinite(steps)][0]
        call.fail(f"{words} in floats: code {code} in {given} becomes {reals[code - given.minimum]}, which is no code")
    held = _away(steps, output).reshape(-1, 1).astype(output.dtype)
    return call.layer(IntegerTable, call.flow(), function=words.lower(), source=given, output=output, codes=held)


def _log(reals: Array) -> Array:
    """Of zero what lies beneath all codes."""
    return np.where(reals == 0, np.float32(-1e30), np.log(reals))


def _logistic(reals: Array) -> Array:
    found: Array = np.float32(1) / (np.float32(1) + np.exp(-reals))
    return found


def _leaky_relu(call: Call) -> str:
    """Two scales, in float32 (kernels/activations.cc: LeakyReluPrepare), for codes above and below zero."""
    given, output = call.format(), call.output_format
    whole = np.float32(given.scale) / np.float32(output.scale)
    part = np.float32(given.scale) * np.float32(call.option("Alpha", 0.0)) / np.float32(output.scale)
    both = _rescaled(codes_of(given)[:, None].repeat(2, axis=1), given.zero_point, [float(whole), float(part)], output)
    return table(call, np.where(codes_of(given) >= given.zero_point, both[:, 0], both[:, 1]))


def _gelu(call: Call) -> str:
    return _of_reals(quantised_functions.gelu_of_tanh if call.option("Approximate", False) else quantised_functions.gelu)(call)


def _absolute(call: Call) -> str:
    """Steps from zero, rescaled (kernels/elementwise.cc: AbsEvalQuantized)."""
    given, output = call.format(), call.output_format
    steps = np.abs(codes_of(given) - given.zero_point)[:, None]
    if given.scale == output.scale:
        return table(call, steps.astype(np.int64) + output.zero_point)
    return table(call, _rescaled(steps, 0, [float(np.float32(given.scale) / np.float32(output.scale))], output))


def _prelu(call: Call) -> str:
    """A slope below zero, one for all or one a channel, of codes (kernels/internal/reference/prelu.h)."""
    given, output, held = call.format(), call.output_format, call.tensor(1, "slopes")
    slopes, form = _a_channel(call, 0, held, call.constant(1, "slopes", ("INT8", "UINT8"))), code_format(held)
    steps = np.broadcast_to(codes_of(given)[:, None] - given.zero_point, (1 << given.bits, slopes.size))
    whole = np.float32(given.scale) / np.float32(output.scale)
    part = np.float32(given.scale) * np.float32(form.scale) / np.float32(output.scale)
    sloped = steps * (slopes.astype(np.int32) - form.zero_point)
    above, below = (
        _rescaled(np.ascontiguousarray(one), 0, [float(scale)], output) for one, scale in ((steps, whole), (sloped, part))
    )
    return table(call, np.where(steps >= 0, above, below))


def _rescaled(codes: Array, zero_point: int, scales: object, output: FixedFormat, **ends: int | None) -> Array:
    bias = np.full(codes.shape[-1], -zero_point, np.int64)
    return kernels.requantize(codes, np.asarray(scales, np.float64), bias, RULE, output=output, **ends).values


def _hard_swish(call: Call) -> str:
    """``x * relu6(x + 3) / 6`` in 16 bits (kernels/internal/reference/hard_swish.h)."""
    given, output = call.format(), call.output_format
    fine = np.float32(1 / (1 << _HIGH_BITS)) * np.float32(given.scale)
    scale, scale_places = _short_multiplier(float(fine / np.float32(output.scale)), output)
    gate, gate_places = _short_multiplier(float(fine / np.float32(3 / (1 << 15))), output)
    if scale_places > 0:
        call.fail(f"codes in {given} become {output}; their scale is at least 1/{1 << _HIGH_BITS} of the input's")
    x = (codes_of(given).astype(np.int64) - given.zero_point) << _HIGH_BITS
    gated = _short(x << max(gate_places - 1, 0))
    gated = _short(_high(gated, gate) << (gate_places > 0))
    gated = (_divided(gated, max(-gate_places, 0)) + (1 << 15)) >> 1
    product = _short(_cut(gated * _high(x, scale)))
    return table(call, _divided(product, -scale_places) + output.zero_point)


def _short_multiplier(real: float, output: FixedFormat) -> tuple[int, int]:
    """A multiplier of 16 bits and its power of two."""
    held = RULES[RULE].constants([real], output)
    return min((int(held.multiplier[0]) + (1 << 15)) >> 16, _INT16[1]), int(held.shift[0])


def _short(values: Array) -> Array:
    return np.clip(values, *_INT16)


def _high(values: Array, multiplier: int) -> Array:
    """Of gemmlowp, fixedpoint/fixedpoint.h: SaturatingRoundingDoublingHighMul of 16 bits."""
    product = values * multiplier
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return _short(_cut(nudged))


def _cut(products: Array) -> Array:
    """The high word of twice a product, towards zero as C divides."""
    return np.where(products >= 0, products >> 15, -(-products >> 15))


def _divided(values: Array, places: int) -> Array:
    """Over a power of two, ties away from zero."""
    half = (1 << places) >> 1
    return np.where(values >= 0, (values + half) >> places, -((half - values) >> places))


def product_scale(first: FixedFormat, second: FixedFormat, output: FixedFormat) -> float:
    """Output codes a step of a product, in float32 (kernels/mul.cc: Prepare)."""
    return float(np.float32(first.scale) * np.float32(second.scale) / np.float32(output.scale))


def of_constant(call: Call) -> str | None:
    """A value beside a constant, in a table of a column for each of its numbers; None where both depend on the images."""
    call.tensor(1, "the second operand")
    places = [place for place in (0, 1) if call.sources[place] is None]
    if not places:
        return None
    place = 1 - places[0]
    held = call.tensor(places[0], "the constant")
    source, value, behind = _aligned(call, place, held, call.constant(places[0], "the constant", ("INT8", "UINT8")))
    codes = np.broadcast_to(codes_of(call.format(place))[:, None], (1 << call.format(place).bits, value.size))
    a, b = (np.ascontiguousarray(codes), call.format(place)), (np.broadcast_to(value, codes.shape).copy(), code_format(held))
    (first, one), (second, other) = (b, a) if place else (a, b)
    found = table(call, _COMBINED[call.operator.name](call, first, second, one, other), place, source)
    return call.move(found, behind, ".back")


def _aligned(call: Call, place: int, held: Tensor, value: Array) -> tuple[str, Array, tuple[Step, ...]]:
    """A value rearranged so that a constant has one number a channel, the numbers, and the steps back.

    As numpy broadcasts: axes are aligned from the last on, and of size 1 are repeated, of the value too.
    """
    given, source = call.shape(place), call.flow(place)
    rank = len(given)
    if value.ndim > rank + 1 or (value.ndim == rank + 1 and len(value) != 1):
        held.fail(f"has shape {value.shape}; expected one that goes with images x {(*given[1:], given[0])}")
    wide = value.reshape((1,) * (rank - value.ndim) + value.shape[max(value.ndim - rank, 0) :])
    numbers = np.moveaxis(wide, -1, 0)  # channels first, as the value
    if any(one not in (1, size) and size != 1 for one, size in zip(numbers.shape, given, strict=True)):
        held.fail(f"has shape {value.shape}; expected one that goes with images x {(*given[1:], given[0])}")
    if value.size > MOST_CHANNELS:
        held.fail(f"has {value.size:,} numbers; at most {MOST_CHANNELS:,} are read beside a value")
    repeated = [axis for axis in range(rank) if given[axis] == 1 < numbers.shape[axis]]
    source = call.move(source, tuple(Take(axis, np.zeros(numbers.shape[axis], np.int32)) for axis in repeated), ".repeated")
    varied = [axis for axis in range(rank) if numbers.shape[axis] > 1]
    if varied in ([], [0]):
        return source, numbers.reshape(-1), ()
    shape, order = call.layers.values[source].shape, (*varied, *(axis for axis in range(rank) if axis not in varied))
    turned, flat = tuple(shape[axis] for axis in order), (numbers.size, math.prod(shape) // numbers.size)
    source = call.move(source, (Permute(order), Reshape(flat)), ".placed")
    return source, numbers.reshape(-1), (Reshape(turned), Permute(tuple(np.argsort(order).tolist())))


def _a_channel(call: Call, place: int, held: Tensor, value: Array) -> Array:
    """A constant of one number, or one for each channel of an input, in one row."""
    channels = call.shape(place)[0]
    if value.size not in (1, min(channels, MOST_CHANNELS)) or value.size != (value.shape or (1,))[-1]:
        held.fail(f"has shape {value.shape}; expected one number, or one for each of {channels} channels")
    return value.reshape(-1)


def _products(call: Call, a: Array, b: Array, first: FixedFormat, second: FixedFormat) -> Array:
    output = call.output_format
    products = (a.astype(np.int32) - first.zero_point) * (b.astype(np.int32) - second.zero_point)
    return _rescaled(products, 0, [product_scale(first, second, output)], output, **call.ends)


def _sums(call: Call, a: Array, b: Array, first: FixedFormat, second: FixedFormat) -> Array:
    """As the layer has them, so that what a difference is stands in one place."""
    fields: dict[str, Any] = {"first": first, "second": second, "rule": RULE, "output": call.output_format, **call.ends}
    layer = IntegerRescaledAdd(name="sum", inputs=("a", "b"), twin=None, subtract=call.operator.name == "SUB", **fields)
    found = layer.run(kernels, a.astype(first.dtype), b.astype(second.dtype)).values
    assert found is not None
    return found


def _larger(call: Call, a: Array, b: Array, first: FixedFormat, second: FixedFormat) -> Array:
    """The larger or the smaller code (kernels/maximum_minimum.cc), of one format."""
    if not first == second == call.output_format:
        call.fail(f"codes in {first} and {second} become {call.output_format}; this operator compares codes of one format")
    found: Array = (np.maximum if call.operator.name == "MAXIMUM" else np.minimum)(a, b)
    return found


_COMBINED: Mapping[str, Callable[[Call, Array, Array, FixedFormat, FixedFormat], Array]] = MappingProxyType(
    {"ADD": _sums, "MAXIMUM": _larger, "MINIMUM": _larger, "MUL": _products, "SUB": _sums}
)


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "ABS": _absolute,
        "EXP": _of_reals(np.exp),
        TABLE: _of_floats,
        "GELU": _gelu,
        "HARD_SWISH": _hard_swish,
        "LEAKY_RELU": _leaky_relu,
        "LOG": _of_reals(_log),
        "LOGISTIC": _of_reals(_logistic),
        "PRELU": _prelu,
        "TANH": _of_reals(np.tanh),
    }
)
