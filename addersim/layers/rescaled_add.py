"""Sums of codes of two scales and zero points, by a named requantisation rule."""

from __future__ import annotations

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import requantisation_rule
from addersim.arithmetic.rescaled_sums import addition_bill, addition_constants
from addersim.errors import FormatError, NetworkError
from addersim.kernels.chains import Link, rescaled_add_link
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value, observe
from addersim.layers.broadcast import common_shape, stretched
from addersim.layers.rescale import checked_operands, checked_rule

__all__ = ["IntegerRescaledAdd"]


class IntegerRescaledAdd(IntegerLayer, frozen=True, tag="rescaled_add"):
    """The sum of what two codes stand for, as codes of a third format; `first` and `second` are those of the operands.

    `rule`, `low` and `high` are as in `IntegerRescale`. With `as_unsigned` signed codes of 8 bits are added as a file has
    them that holds them 128 higher: floats round beside those. With `subtract` the second operand is taken off: its codes with
    every bit turned over, and its zero point likewise, stand for the negated values, and those are added.
    """

    first: FixedFormat
    second: FixedFormat
    rule: str
    output: FixedFormat
    low: int | None = None
    high: int | None = None
    as_unsigned: bool = False
    subtract: bool = False

    ARITY = 2
    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = checked_rule(self.name, self.rule, self.output, self.low, self.high)
        try:
            addition_constants(rule, self.first, _turned_over(self.second) if self.subtract else self.second, self.output)
        except FormatError as error:
            raise NetworkError(f"layer {self.name}: {error}") from None

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        return msgspec.structs.replace(self, rule=rule)

    def value(self, *inputs: Value) -> Value:
        checked_operands(self.name, self.inputs, inputs, (self.first, self.second))
        verb = "subtracts" if self.subtract else "adds"
        return Value.of(common_shape(self.name, verb, *(one.shape for one in inputs)), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        a, b = stretched(codes[0], codes[1])
        first, second, output, moved = self.first, self.second, self.output, 0
        if self.subtract:
            b, second = b.dtype.type(second.minimum + second.maximum) - b, _turned_over(second)
        if self.as_unsigned:
            a, b, moved = _higher(a), _higher(b), 128 * output.signed
            first, second, output = map(_unsigned, (first, second, output))
        low, high = (None if end is None else end + moved for end in (self.low, self.high))
        found = engine.rescaled_add(a, b, first, second, self.rule, output=output, low=low, high=high, threads=threads)
        values = (found.values ^ 128).view(np.int8) if moved else found.values
        return Run(values, observe(found.minimum - moved, found.maximum - moved, found.overflowed, values.size))

    def link(self, *inputs: Value) -> Link | None:
        """The step of a chain that this is, where codes of one shape are added as they are."""
        if self.subtract or self.as_unsigned or inputs[0].shape != inputs[1].shape:
            return None
        return rescaled_add_link(self.first, self.second, self.rule, self.output, self.low, self.high)

    def details(self) -> str:
        return f"{self.rule}, a - b" if self.subtract else self.rule

    def bill(self, output: Value, *inputs: Value) -> Bill:
        bits = max(one.bits for one in inputs)
        return Bill(addition_bill(requantisation_rule(self.rule), output.words, bits, self.output))


def _higher(codes: Array) -> Array:
    """Codes of a byte as unsigned ones: those that have signs become 128 larger."""
    return codes.view(np.uint8) ^ 128 if codes.dtype == np.int8 else codes


def _unsigned(form: FixedFormat) -> FixedFormat:
    return FixedFormat(8, False, form.scale, form.zero_point + 128) if form.signed else form


def _turned_over(form: FixedFormat) -> FixedFormat:
    """The format whose codes are those of another with every bit turned over, and stand for the negated values."""
    return FixedFormat(form.bits, form.signed, form.scale, form.minimum + form.maximum - form.zero_point)
