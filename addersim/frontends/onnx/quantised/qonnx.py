"""QONNX: Quant, BipolarQuant and Trunc between operators on reals (rule ``qonnx``), and operators on channels that come last.

Sums are whole numbers times the product of the scales in float32. A matrix product in float32, as QONNX runs it, is the same
where scales are powers of two; elsewhere its last bits depend on the order of its additions, and are not meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.quantised.qdq import quantised
from addersim.frontends.onnx.quantised.reals import OPERATORS as REALS
from addersim.frontends.quantised_building import SIGNS
from addersim.frontends.quantised_values import Coded, Codes, Reals
from addersim.frontends.quantisers import ROUNDINGS, Quantiser, check_scale

__all__ = ["DOMAINS", "OPERATORS"]

DOMAINS = ("onnx.brevitas.", "qonnx.custom_op.general.", "finn.custom_op.general.")
MOST_BITS = 16
MOST_BIAS_BITS = 32
"""Of constants: biases mostly, which are added to sums."""


def _signs(call: QuantisedCall, scale: Any) -> Any:
    """Codes -1 and +1; of activations that meet nothing but signs one bit of each."""
    if flow_of(call.input(0)) is None:
        found = np.where(call.constant(0) >= 0, 1, -1).astype(np.int8)
        return Coded(found, scale.astype(np.float32), np.zeros(1, np.int32), FixedFormat(2), signs=True)
    form = FixedFormat(SIGNS if call.signs_only else 2, True, _one(call, scale, 1))
    return quantised(call, call.input(0), Quantiser(form, -1, 1, signs=True))


def _one(call: QuantisedCall, values: Any, place: int) -> float:
    if values.size != 1:
        call.fail(f"{call.name_of(place)!r} has shape {values.shape}; activations have one scale, zero point and width")
    return float(values.reshape(()))


def _bipolar(call: QuantisedCall) -> Any:
    call.plain.only()
    scale = call.constant(1)
    check_scale(scale, call.name_of(1))
    return _signs(call, scale)


def _width(call: QuantisedCall, place: int, most: int = MOST_BITS) -> int:
    bits = _one(call, call.constant(place), place)
    if not (bits.is_integer() and 1 <= bits <= most):
        call.fail(f"bit width {call.name_of(place)!r} is {bits:g}; expected a whole number of 1..{most}")
    return int(bits)


def _ends(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Of QONNX, custom_op/general/intquant.py: min_int and max_int."""
    return (-(1 << bits - 1) + narrow, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1 - narrow)


def _quant(call: QuantisedCall) -> Any:
    call.plain.only("signed", "narrow", "rounding_mode")
    constant = flow_of(call.input(0)) is None
    scale, zero, bits = call.constant(1), call.constant(2), _width(call, 3, MOST_BIAS_BITS if constant else MOST_BITS)
    check_scale(scale, call.name_of(1))
    signed, narrow = (bool(call.plain.attribute(name, 1)) for name in ("signed", "narrow"))
    mode = str(call.plain.attribute("rounding_mode", "ROUND")).upper()
    if mode not in ROUNDINGS:
        call.fail(f"attribute rounding_mode: {mode!r} is not one of {', '.join(ROUNDINGS)}")
    low, high = _ends(bits, signed, narrow)
    if not np.isfinite(zero).all() or (zero % 1).any() or zero.min() < low or zero.max() > high:
        call.fail(f"zero point {call.name_of(2)!r} holds {zero.min():g}; expected whole numbers of {low}..{high}")
    if bits == 1 and signed:
        return _signs(call, scale)
    if constant:
        reals = call.constant(0).astype(np.float32)
        steps = ROUNDINGS[mode](np.clip(reals / scale.astype(np.float32) + zero.astype(np.float32), low, high))
        if bits > MOST_BITS:  # of biases, which are reals to what reads them
            return ((steps - zero.astype(np.float32)) * scale.astype(np.float32)).astype(np.float32)
        form = FixedFormat(bits, signed)
        return Coded(steps.astype(form.dtype), scale.astype(np.float32), zero.astype(np.int32), form)
    try:
        form = FixedFormat(bits, signed, _one(call, scale, 1), int(_one(call, zero, 2)))
    except FormatError as error:
        return call.fail(f"{call.name_of(1)!r}: {error}")
    return _reals(quantised(call, call.input(0), Quantiser(form, low, high, mode)))


def _reals(found: Any) -> Any:
    return Reals(found.flow, found.form) if isinstance(found, Codes) else found


def _trunc(call: QuantisedCall) -> Any:
    """The first version: low bits are dropped, and what is left has the scale of before."""
    call.plain.only("rounding_mode")
    if len(call.inputs) != 5:
        call.fail(f"reads {len(call.inputs)} values; the version with five is read")
    scale, zero = (_one(call, call.constant(place), place) for place in (1, 2))
    check_scale(call.constant(1), call.name_of(1))
    given, kept = _width(call, 3), _width(call, 4)
    mode = str(call.plain.attribute("rounding_mode", "FLOOR")).upper()
    if mode not in ROUNDINGS or kept > given or zero:
        call.fail(f"from {given} to {kept} bits, zero point {zero:g}, mode {mode}: not read")
    source = call.reals()
    form = FixedFormat(kept, source.form.signed, scale)
    places = np.float32(2.0 ** (given - kept))
    moved = np.rint(source.held / np.float32(scale)) / places
    how = Quantiser(form, form.minimum, form.maximum, mode)
    return _reals(quantised(call, replace(source, table=moved * np.float32(scale)), how))


def _last(operator: str) -> Callable[[QuantisedCall], Any]:
    """An operator on images whose channels come last, weights alike."""

    def row(call: QuantisedCall) -> Any:
        value, *others = call.inputs
        flow = flow_of(value)
        if flow is None or flow.rank < 2:
            call.fail("reads what is no image")
        first = replace(value, flow=flow.front(flow.rank - 1))
        if operator == "Conv" and isinstance(others[0], Coded):
            held, order = others[0], (0, others[0].codes.ndim - 1, *range(1, others[0].codes.ndim - 1))
            turned: dict[str, Any] = {"codes": held.codes.transpose(order)} | {
                name: one.transpose(order) if one.ndim == len(order) else one
                for name, one in (("scale", held.scale), ("zero_point", held.zero_point))
            }
            others[0] = replace(held, **turned)
        found = REALS[operator](replace(call, inputs=(first, *others)))
        return replace(found, flow=found.flow.back(found.flow.rank - 1))

    return row


_GENERAL = {"Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc}
OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {f"{domain}{name}": row for domain in DOMAINS for name, row in _GENERAL.items()}
    | {f"qonnx.custom_op.channels_last.{name}": _last(name) for name in ("Conv", "MaxPool", "BatchNormalization")}
)
