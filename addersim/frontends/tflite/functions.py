"""Functions of one code: a table with an entry a code, filled as TensorFlow Lite computes it.

So are operators on a value and a constant, whose table has a column a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.formats import code_format
from addersim.frontends.tflite.records import Array
from addersim.layers import IntegerTable

__all__ = ["OPERATORS", "complement", "form_of", "of_constant", "opposite", "product_scale"]

MOST_CHANNELS = 1 << 16
"""Of a constant: each takes a table of its own."""

_INT16 = -(1 << 15), (1 << 15) - 1
_HIGH_BITS = 7
"""Places by which hard swish moves codes left."""


def _table(call: Call, entries: Array, place: int = 0) -> str:
    """A layer of a table: output codes for every code of an input, ``(codes,)`` or ``(codes, channels)``."""
    output = call.output_format
    held = np.clip(entries.reshape(len(entries), -1), output.minimum, output.maximum).astype(output.dtype)
    name = call.operator.name.lower()
    source = call.format(place)
    return call.layer(IntegerTable, call.flow(place), function=name, source=source, output=output, codes=held)


def _codes(form: FixedFormat) -> Array:
    return np.arange(form.minimum, form.maximum + 1, dtype=np.int32)


def _of_reals(function: Callable[[Array], Array]) -> Callable[[Call], str]:
    """A function of real values in float32, ties away from zero (kernels/internal/common.h: LUTPopulate)."""

    def looked_up(call: Call) -> str:
        given, output = call.format(), call.output_format
        reals = np.float32(given.scale) * (_codes(given) - given.zero_point).astype(np.float32)
        with np.errstate(over="ignore"):
            steps = function(reals) * (np.float32(1) / np.float32(output.scale))
        if not np.isfinite(steps).all():
            call.fail(f"codes in {given} become {output}, whose scale is too fine for float32")
        away = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps)
        ends = output.minimum - output.zero_point, output.maximum - output.zero_point
        return _table(call, np.clip(away, *ends).astype(np.int64) + output.zero_point)

    return looked_up


def _logistic(reals: Array) -> Array:
    found: Array = np.float32(1) / (np.float32(1) + np.exp(-reals))
    return found


def _leaky_relu(call: Call) -> str:
    """Two scales, in float32 (kernels/activations.cc: LeakyReluPrepare), for codes above and below zero."""
    given, output = call.format(), call.output_format
    whole = np.float32(given.scale) / np.float32(output.scale)
    part = np.float32(given.scale) * np.float32(call.option("Alpha", 0.0)) / np.float32(output.scale)
    both = _rescaled(_codes(given)[:, None].repeat(2, axis=1), given.zero_point, [float(whole), float(part)], output)
    return _table(call, np.where(_codes(given) >= given.zero_point, both[:, 0], both[:, 1]))


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
    x = (_codes(given).astype(np.int64) - given.zero_point) << _HIGH_BITS
    gated = _short(x << max(gate_places - 1, 0))
    gated = _short(_high(gated, gate) << (gate_places > 0))
    gated = (_divided(gated, max(-gate_places, 0)) + (1 << 15)) >> 1
    product = _short(_cut(gated * _high(x, scale)))
    return _table(call, _divided(product, -scale_places) + output.zero_point)


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


def form_of(call: Call, source: str) -> FixedFormat:
    """The format of a layer's codes."""
    given = call.layers.values[source]
    return FixedFormat(given.bits, given.signed, given.scale, given.zero_point)


def opposite(form: FixedFormat) -> FixedFormat:
    """The format in which the complement of a code (the least and the largest less it) is the negative number, exactly."""
    return FixedFormat(form.bits, form.signed, form.scale, form.minimum + form.maximum - form.zero_point)


def complement(call: Call, source: str, part: str = "") -> str:
    """A layer of complements: the negative numbers, in the opposite format."""
    given = form_of(call, source)
    held = _codes(given)[::-1].astype(given.dtype).reshape(-1, 1)
    fields = {"function": "complement", "source": given, "output": opposite(given), "codes": np.ascontiguousarray(held)}
    return call.layer(IntegerTable, source, part=part, **fields)


def of_constant(call: Call) -> str | None:
    """An operator on a value and a constant, of one number or one a channel; None where both depend on the images."""
    call.tensor(1, "the second operand")
    places = [place for place in (0, 1) if call.sources[place] is None]
    if not places:
        return None
    place = 1 - places[0]
    given, constant = _beside_constant(call, place)
    return _table(call, _OF_TWO[call.operator.name](call, given, constant, place), place)


class _Codes(NamedTuple):
    """Codes and their format."""

    codes: Array
    form: FixedFormat

    @property
    def steps(self) -> Array:
        """What they stand for, in steps of the scale."""
        found: Array = self.codes.astype(np.int32) - self.form.zero_point
        return found

    def negative(self) -> _Codes:
        """The negative numbers, exactly."""
        form = self.form
        return _Codes((form.minimum + form.maximum - self.codes.astype(np.int32)).astype(form.dtype), opposite(form))


def _beside_constant(call: Call, place: int) -> tuple[_Codes, _Codes]:
    """Every code of the value at a place and the constant beside it, ``(codes, channels)``, or one column for all."""
    held, value = call.tensor(1 - place, "the constant"), call.constant(1 - place, "the constant", ("INT8", "UINT8"))
    first, second, channels = call.format(place), code_format(held), call.shape(place)[0]
    if value.size not in (1, min(channels, MOST_CHANNELS)) or value.size != (value.shape or (1,))[-1]:
        held.fail(f"has shape {value.shape}; expected one number, or one for each of {channels} channels")
    codes = np.broadcast_to(_codes(first)[:, None], (1 << first.bits, value.size))
    constant = np.ascontiguousarray(np.broadcast_to(value.reshape(-1), codes.shape))
    return _Codes(np.ascontiguousarray(codes, first.dtype), first), _Codes(constant, second)


def _sum(call: Call, given: _Codes, constant: _Codes, place: int) -> Array:
    output = call.output_format
    how = {"output": output, **call.ends}
    return kernels.rescaled_add(given.codes, constant.codes, given.form, constant.form, RULE, **how).values


def _difference(call: Call, given: _Codes, constant: _Codes, place: int) -> Array:
    """The second operand's negative, added."""
    return _sum(call, given, constant.negative(), place) if place == 0 else _sum(call, given.negative(), constant, place)


def _product(call: Call, given: _Codes, constant: _Codes, place: int) -> Array:
    scale = product_scale(given.form, constant.form, call.output_format)
    return _rescaled(given.steps * constant.steps, 0, [scale], call.output_format, **call.ends)


def _extreme(larger: Callable[[Array, Array], Array]) -> Callable[[Call, _Codes, _Codes, int], Array]:
    """Codes are compared as they are, without their scales (kernels/maximum_minimum.cc)."""

    def extreme(call: Call, given: _Codes, constant: _Codes, place: int) -> Array:
        for form in (given.form, constant.form):
            if form != call.output_format:
                call.fail(f"compares codes in {form} into {call.output_format}; all must have one scale and one zero point")
        return larger(given.codes, constant.codes)

    return extreme


_OF_TWO: Mapping[str, Callable[[Call, _Codes, _Codes, int], Array]] = MappingProxyType(
    {"ADD": _sum, "MAXIMUM": _extreme(np.maximum), "MINIMUM": _extreme(np.minimum), "MUL": _product, "SUB": _difference}
)


def _sloped_relu(call: Call) -> str:
    """Two scales, in float32 (kernels/activations.cc: PreluPrepare): below zero that of products with a channel's slope."""
    (given, slopes), output = _beside_constant(call, 0), call.output_format
    whole = np.float32(given.form.scale) / np.float32(output.scale)
    above = _rescaled(given.steps, 0, [float(whole)], output)
    below = _rescaled(given.steps * slopes.steps, 0, [product_scale(given.form, slopes.form, output)], output)
    return _table(call, np.where(given.steps >= 0, above, below))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "HARD_SWISH": _hard_swish,
        "LEAKY_RELU": _leaky_relu,
        "LOGISTIC": _of_reals(_logistic),
        "PRELU": _sloped_relu,
        "TANH": _of_reals(np.tanh),
    }
)
