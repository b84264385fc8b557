"""Sums of codes of two scales and zero points, by a named requantisation rule."""

from __future__ import annotations

import msgspec

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import requantisation_rule
from addersim.arithmetic.rescaled_sums import addition_bill, addition_constants
from addersim.errors import FormatError, NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value, observe
from addersim.layers.broadcast import common_shape, stretched
from addersim.layers.rescale import checked_operands, checked_rule

__all__ = ["IntegerRescaledAdd"]


class IntegerRescaledAdd(IntegerLayer, frozen=True, tag="rescaled_add"):
    """The sum of what two codes stand for, as codes of a third format; `first` and `second` are those of the operands.

    `rule`, `low` and `high` are as in `IntegerRescale`.
    """

    first: FixedFormat
    second: FixedFormat
    rule: str
    output: FixedFormat
    low: int | None = None
    high: int | None = None

    ARITY = 2
    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = checked_rule(self.name, self.rule, self.output, self.low, self.high)
        try:
            addition_constants(rule, self.first, self.second, self.output)
        except FormatError as error:
            raise NetworkError(f"layer {self.name}: {error}") from None

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        return msgspec.structs.replace(self, rule=rule)

    def value(self, *inputs: Value) -> Value:
        checked_operands(self.name, self.inputs, inputs, (self.first, self.second))
        return Value.of(common_shape(self.name, "adds", *(one.shape for one in inputs)), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        a, b = stretched(codes[0], codes[1])
        how = {"output": self.output, "low": self.low, "high": self.high}
        found = engine.rescaled_add(a, b, self.first, self.second, self.rule, **how, threads=threads)
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def details(self) -> str:
        return self.rule

    def bill(self, output: Value, *inputs: Value) -> Bill:
        bits = max(one.bits for one in inputs)
        return Bill(addition_bill(requantisation_rule(self.rule), output.words, bits, self.output))
