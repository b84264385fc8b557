"""Whole numbers that a file makes of reals by its own arithmetic, Round and Clip, and what it takes them for afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.errors import FormatError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.quantised.call import MOVES, QuantisedCall
from addersim.frontends.quantised_building import behind
from addersim.frontends.quantised_values import Codes, Reals, Sums, Value, Waiting
from addersim.frontends.quantisers import Quantiser, check_scale

__all__ = ["OPERATORS", "Steps", "of_codes", "rounded", "scaled"]

MOST_BITS = 16
_TYPES = MappingProxyType({2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 12: "u4"})
"""Types of whole numbers, by ONNX's numbers."""
_FLOATS = (1, 10, 11)


@dataclass(frozen=True, slots=True)
class Steps(Value):
    """Reals in units that the file chose, rounded to whole numbers or about to be.

    Attributes
    ----------
    source
        The reals.
    unit
        Reals of a step.
    whole
        Whether they were rounded.
    low, high
        Whole numbers at which they end.
    """

    source: Reals | Waiting
    unit: float = 1.0
    whole: bool = False
    low: float = -math.inf
    high: float = math.inf

    def ended(self, low: float, high: float) -> Steps:
        """The same between closer ends."""
        return replace(self, low=max(self.low, math.ceil(low) if math.isfinite(low) else low), high=min(self.high, high))


def scaled(value: Waiting, unit: float) -> Steps:
    """What waits, in units of a number of reals."""
    return Steps(Flow("", value.flow.shape), value, unit)


def rounded(call: QuantisedCall) -> Steps:
    """Whole numbers next to reals, ties to even."""
    value = call.input(0)
    if isinstance(value, Reals | Waiting):
        value = Steps(Flow("", value.flow.shape), value)
    if not isinstance(value, Steps):
        call.fail(f"rounds {call.name_of(0)!r}, which is not what codes stand for")
    return replace(value, whole=True)


def of_codes(value: Codes) -> Steps:
    """Codes as the whole numbers that they are."""
    held = np.arange(value.form.minimum, value.form.maximum + 1).astype(np.float32)[:, None]
    return Steps(Flow("", value.flow.shape), Reals(value.flow, value.form, held), whole=True)


def _steps(call: QuantisedCall, place: int = 0) -> Steps:
    value = call.input(place)
    if not isinstance(value, Steps) or not value.whole:
        call.fail(f"reads {call.name_of(place)!r}, whole numbers that were not rounded to be some; only Round is read there")
    return value


def _clip(call: QuantisedCall) -> Steps:
    call.plain.only("min", "max")
    low, high = (call.plain.number(place, name, far) for place, name, far in ((1, "min", -math.inf), (2, "max", math.inf)))
    return _steps(call).ended(low, high)


def _cast(call: QuantisedCall) -> Steps:
    kind, value = call.plain.attribute("to", 0), _steps(call)
    if kind in _FLOATS:
        return value
    if kind not in _TYPES:
        call.fail(f"attribute to: {kind}; read are types of whole numbers and floats")
    held = np.dtype(_TYPES[kind])
    ends = np.iinfo(held)
    if held.itemsize < 4 and not ends.min <= value.low <= value.high <= ends.max:
        call.fail(f"casts whole numbers of {value.low:g}..{value.high:g} to {held}, which would lose some; Clip them")
    return value


def _scaled_back(call: QuantisedCall) -> Reals:
    """Whole numbers times one number: what codes of that scale stand for."""
    place = 0 if isinstance(call.input(0), Steps) else 1
    return _reals(call, _steps(call, place), call.constant(1 - place), call.name_of(1 - place), 0)


def _dequantised(call: QuantisedCall) -> Reals:
    call.plain.only("axis", "output_dtype", block_size=0)
    zero = call.optional(2)
    if zero is not None and zero.size != 1:
        call.fail(f"zero point {call.name_of(2)!r} of shape {zero.shape}; activations have one")
    return _reals(call, _steps(call), call.constant(1), call.name_of(1), 0 if zero is None else int(zero.reshape(())))


def _reals(call: QuantisedCall, value: Steps, scale: Any, name: str, zero: int) -> Reals:
    """What whole numbers stand for: codes of their own, made by one quantiser."""
    check_scale(scale, name)
    if scale.size != 1:
        call.fail(f"scale {name!r} of shape {scale.shape}; activations have one scale")
    source, number = value.source, float(scale.reshape(()))
    low, high = _range(call, value)
    try:
        signed = min(low, zero) < 0
        form = FixedFormat(bits_for(min(low, zero), max(high, zero), signed), signed, number, zero)
    except FormatError as error:
        return call.fail(f"scale {name!r}: {error}")
    if isinstance(source, Reals):  # each code has its number
        whole = np.clip(np.rint(source.held / np.float32(value.unit)), low, high)
        source = call.building.unfilled(source, call.title)
        source = replace(source, table=(whole - np.float32(zero)) * np.float32(number))
    elif zero:
        call.fail(f"zero point of {zero} beside whole numbers that were rounded without one; not read")
    elif isinstance(source, Sums) and not source.functions and (source.low, source.high) == (None, None):
        source = replace(source, step=source.step.astype(np.float64) * number / value.unit)
    elif np.float32(value.unit) != np.float32(number):
        call.fail(f"scale {name!r} is {number:g} of whole numbers that were made in steps of {value.unit:g}")
    found = call.building.quantised(source, Quantiser(form, low, high), call.title)
    return Reals(behind(found.flow, value.flow), form)


def _range(call: QuantisedCall, value: Steps) -> tuple[int, int]:
    low, high = value.low, value.high
    if isinstance(value.source, Reals):
        held = np.rint(value.source.held / np.float32(value.unit))
        low, high = max(low, float(held.min())), min(high, float(held.max()))
    if not (low <= high and low >= -(1 << MOST_BITS - 1) and high < 1 << MOST_BITS):
        call.fail(f"whole numbers of {low:g}..{high:g}; read are those that Clip holds within {MOST_BITS} bits")
    return int(low), int(high)


def _looked_up(call: QuantisedCall) -> Any:
    """Entries of a constant, by whole numbers that are functions of codes."""
    if isinstance(call.input(0), Steps):
        return MOVES["Gather"](call)
    value, table = _steps(call, 1), call.constant(0)
    if table.ndim != 1 or call.plain.attribute("axis", 0) not in (0, -1):
        call.fail(f"looks up entries of a constant of shape {table.shape}; read is a row of numbers")
    if not isinstance(value.source, Reals):
        call.fail("looks up entries by sums; make codes of them first")
    low, high = _range(call, value)
    places = np.clip(np.rint(value.source.held / np.float32(value.unit)), low, high).astype(np.int64)
    if places.min() < -len(table) or places.max() >= len(table):
        call.fail(f"looks up entries {places.min()}..{places.max()} of a constant of {len(table)}")
    source = call.building.unfilled(value.source, call.title)
    found = replace(source, table=table[places].astype(np.float32), flow=behind(source.flow, value.flow))
    return Steps(Flow("", found.flow.shape), found, whole=True) if table.dtype.kind in "iu" else found


OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {name: row for name, row in MOVES.items() if name != "Pad"}
    | {
        "Cast": _cast,
        "Clip": _clip,
        "DequantizeLinear": _dequantised,
        "Gather": _looked_up,
        "Identity": lambda call: call.input(0),
        "Mul": _scaled_back,
        "Relu": lambda call: _steps(call).ended(0.0, math.inf),
        "Round": rounded,
    }
)
"""What reads whole numbers."""
