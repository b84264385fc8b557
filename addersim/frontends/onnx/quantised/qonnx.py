"""QONNX: Quant, BipolarQuant and Trunc between operators on reals (rule ``qonnx``), and operators on channels that come last.

Sums are whole numbers times the product of the scales in float32. A matrix product in float32, as QONNX runs it, is the same
where scales are powers of two; elsewhere its last bits depend on the order of its additions, and are not meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.errors import FormatError
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.quantised.qdq import quantised
from addersim.frontends.onnx.quantised.reals import OPERATORS as REALS
from addersim.frontends.quantised_building import SIGNS
from addersim.frontends.quantised_values import Coded, Codes, Reals
from addersim.frontends.quantisers import ROUNDINGS, Quantiser, check_scale

__all__ = ["DOMAINS", "OPERATORS", "borderless"]

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
    return quantised(call, borderless(call), Quantiser(form, -1, 1, signs=True))


def borderless(call: QuantisedCall) -> Any:
    """The value of which codes are made, without a border of zeros that no layer computed: zero may be no zero then."""
    value = call.input(0)
    if isinstance(value, Reals):
        return call.building.unfilled(value, call.title)
    flow = flow_of(value)
    if flow is not None and flow.fills():
        call.fail("comes behind a border of zeros that lies around sums; make codes of them first")
    return value


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
    mode = _mode(call, "ROUND")
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


@dataclass(frozen=True, slots=True)
class _Truncated(Quantiser):
    """Codes of which low bits are dropped: `step` and `zero` are those of before, `places` how much fewer there are."""

    step: float = 1.0
    zero: float = 0.0
    places: float = 1.0

    def codes(self, reals: Any) -> Any:
        whole = np.rint(reals / np.float32(self.step) + np.float32(self.zero)) / np.float32(self.places)
        return ROUNDINGS[self.mode](np.clip(whole, self.low, self.high)).astype(np.int32)


def _trunc(call: QuantisedCall) -> Any:
    """Low bits are dropped. What is left has the scale of before in the first version, which has five inputs.

    In the second it has a scale, ends and a zero point of its own, which is that of before without the same bits.
    """
    second = len(call.inputs) == 6
    if len(call.inputs) not in (5, 6):
        call.fail(f"reads {len(call.inputs)} values; the versions with five and with six are read")
    call.plain.only("rounding_mode", *(("signed", "narrow") if second else ()))
    step, zero = (_one(call, call.constant(place), place) for place in (1, 2))
    check_scale(call.constant(1), call.name_of(1))
    given, kept, mode = _width(call, 3), _width(call, 5 if second else 4), _mode(call, "FLOOR")
    source = call.reals()
    signed, scale, places, narrow = source.form.signed, step, 2.0 ** (given - kept), False
    if second:
        check_scale(call.constant(4), call.name_of(4))
        signed, narrow = bool(call.plain.attribute("signed", 1)), bool(call.plain.attribute("narrow", 0))
        scale = _one(call, call.constant(4), 4)
        places = float(2.0 ** np.round(np.log2(scale / step)))
    left = zero / places
    if (not second and (kept > given or zero)) or not left.is_integer():
        call.fail(f"from {given} to {kept} bits, zero point {zero:g} over {places:g}: not read")
    low, high = _ends(kept, signed, narrow)
    try:
        how = _Truncated(FixedFormat(kept, signed, scale, int(left)), low, high, mode, step=step, zero=zero, places=places)
        return _reals(quantised(call, source, how if second else _unended(how, source)))
    except FormatError as error:
        return call.fail(str(error))


def _unended(how: _Truncated, source: Reals) -> _Truncated:
    """The same whose codes do not end, as those of the first version, which may round up to one more than its bits hold."""
    far = 1 << MOST_BIAS_BITS - 2
    found = replace(how, low=-far, high=far).codes(source.held)
    low, high, signed = int(found.min()), int(found.max()), how.form.signed
    bits = max(how.form.bits, bits_for(min(low, 0), max(high, 0), signed))
    return replace(how, form=FixedFormat(bits, signed, how.form.scale), low=low, high=high)


def _mode(call: QuantisedCall, default: str) -> str:
    mode = str(call.plain.attribute("rounding_mode", default)).upper()
    if mode not in ROUNDINGS:
        call.fail(f"attribute rounding_mode: {mode!r} is not one of {', '.join(ROUNDINGS)}")
    return mode


def _float_quant(call: QuantisedCall) -> Any:
    call.fail("makes numbers with exponents, not codes of whole numbers; quantise with Quant")


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


_GENERAL = {"Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc, "FloatQuant": _float_quant}
OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {f"{domain}{name}": row for domain in DOMAINS for name, row in _GENERAL.items()}
    | {f"qonnx.custom_op.channels_last.{name}": _last(name) for name in ("Conv", "MaxPool", "BatchNormalization")}
)
