"""Products of codes of two scales and zero points, by a named requantisation rule."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import OF_REALS, RULES, RequantisationRule, requantisation_rule
from addersim.errors import FormatError, NetworkError
from addersim.kernels.checks import CodesResult
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value, observe
from addersim.layers.broadcast import common_shape, stretched
from addersim.layers.rescale import checked_operands, checked_rule

__all__ = ["IntegerRescaledProduct"]


class IntegerRescaledProduct(IntegerLayer, frozen=True, tag="rescaled_product"):
    """The exact product of two codes less their zero points, scaled as `IntegerRescale` scales sums.

    ONNX Runtime (core/mlas/lib/qlmul.cpp) adds the zero point in float32 before it rounds a product, and behind that of a sum:
    where the zero point is odd, ties go the other way. Rules of real values, whose formula is in `OF_REALS`, multiply what the
    codes stand for in float32, and read no `scale`.

    Attributes
    ----------
    first, second
        Formats of the operands.
    scale
        Output codes a step of the product.
    rule, low, high
        As in `IntegerRescale`.
    """

    first: FixedFormat
    second: FixedFormat
    scale: float
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
            rule.constants(self.scale, self.output)
        except FormatError as error:
            raise NetworkError(f"layer {self.name}: {error}") from None
        if self._product_bits > 32:
            raise NetworkError(f"layer {self.name}: products of {self.first} and {self.second} leave 32 bits")

    @property
    def _product_bits(self) -> int:
        first, second = (
            (form.minimum - form.zero_point, form.maximum - form.zero_point) for form in (self.first, self.second)
        )
        products = [one * other for one in first for other in second]
        return bits_for(min(products), max(products))

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        return msgspec.structs.replace(self, rule=rule)

    def value(self, *inputs: Value) -> Value:
        checked_operands(self.name, self.inputs, inputs, (self.first, self.second))
        return Value.of(common_shape(self.name, "multiplies", *(one.shape for one in inputs)), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        how: dict[str, Any] = {"output": self.output, "low": self.low, "high": self.high, "threads": threads}
        if requantisation_rule(self.rule).formula in OF_REALS:
            both = stretched(*codes)
            return _observed(engine.rescaled_add(*both, self.first, self.second, self.rule, product=True, **how))
        steps = [
            one.astype(np.int32) - np.int32(form.zero_point)
            for one, form in zip(codes, (self.first, self.second), strict=True)
        ]
        products = np.multiply(*stretched(*steps))
        none = np.zeros(products.shape[-1], np.int64)
        rule: str | RequantisationRule = self.rule
        if requantisation_rule(self.rule).formula == "float":
            rule, how["output"] = RULES["qonnx"], dataclasses.replace(self.output, scale=1.0)
        found = engine.requantize(products, [self.scale], none, rule, **how)
        return _observed(found)

    def details(self) -> str:
        return self.rule

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """Zero points taken off, a multiplication of what is left, and the scaling of the product."""
        rule, words = requantisation_rule(self.rule), output.words
        forms = [form for form in (self.first, self.second) if form.zero_point]
        steps = OpCounts([(("sub", form.bits + 1), words) for form in forms])
        steps += OpCounts({("mul", max(form.bits + bool(form.zero_point) for form in (self.first, self.second))): words})
        scaled = rule.bill(words, self._product_bits, self.output.bits, zero_point=bool(self.output.zero_point))
        return Bill(steps + scaled)


def _observed(found: CodesResult) -> Run:
    return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))
