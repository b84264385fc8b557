"""Product of two values: gates, attention maps, squares."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.arithmetic.ops import OpCounts
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.broadcast import common_shape, stretched
from addersim.layers.narrowing import factor_counts, fixed_factor, narrow, planned_gain

__all__ = ["IntegerProduct", "Product"]

MOST_MULTIPLIER_BITS = 30
"""Products of 16-bit codes take 32 bits: times such a multiplier they stay below 2**62."""


class Product(Layer, frozen=True, tag="product"):
    """``a * b``, of two values of one shape or of shapes with size 1 where they differ."""

    ARITY = 2

    def is_never_negative(self, *inputs: bool) -> bool:
        return all(inputs) or self.inputs[0] == self.inputs[1]

    def shape(self, *inputs: Shape) -> Shape:
        return common_shape(self.name, "multiplies", *inputs)

    def run(self, *values: Array, threads: int | None = None) -> Array:
        return np.multiply(values[0], values[1])

    def integer(self, plan: Plan) -> IntegerLayer:
        first, second = (plan.scales[name] for name in self.inputs)
        return IntegerProduct(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            gain=planned_gain(first * second / plan.formats[self.name].scale, plan),
            multiplier_bits=min(plan.how.multiplier_bits, MOST_MULTIPLIER_BITS),
            output=plan.formats[self.name],
            rounding=plan.rounding(self.name),
            overflow=plan.how.overflow,
        )


class IntegerProduct(IntegerLayer, frozen=True, tag="product"):
    """Exact product of two codes, then multiply and shift into the output format: ``round(a * b * multiplier / 2**shift)``.

    `gain` is the product of the input scales over the output scale: the real factor that the multiplier holds.
    """

    gain: float
    multiplier_bits: int
    output: FixedFormat
    rounding: Rounding
    overflow: Overflow

    ARITY = Product.ARITY

    def value(self, *inputs: Value) -> Value:
        first, second = inputs
        return Value.of(common_shape(self.name, "multiplies", first.shape, second.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        products = engine.multiply(*stretched(*codes), threads=threads)
        factor = fixed_factor(self.gain, self.multiplier_bits, self.name)
        return narrow(engine, products, factor, self.output, self.rounding, self.overflow, threads)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        first, second = inputs
        factor = fixed_factor(self.gain, self.multiplier_bits, self.name)
        counts = OpCounts({("mul", max(first.bits, second.bits)): output.words})
        return Bill(counts + factor_counts([factor], first.bits + second.bits, self.multiplier_bits, output.words))
