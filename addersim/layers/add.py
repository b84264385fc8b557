"""Residual addition of two values."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Overflow
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value, observe

__all__ = ["Add", "IntegerAdd"]


class Add(Layer, frozen=True, tag="add"):
    """``a + b``, of two values of one shape."""

    ARITY = 2
    KEEPS_SCALE = True
    KEEPS_SIGN = True

    def shape(self, *inputs: Shape) -> Shape:
        first, second = inputs
        if first != second:
            raise NetworkError(f"layer {self.name}: adds {first} and {second}; both must have one shape")
        return first

    def run(self, *values: Array, threads: int | None = None) -> Array:
        return np.add(values[0], values[1], dtype=np.float32)

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerAdd(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            overflow=plan.how.overflow,
        )


class IntegerAdd(IntegerLayer, frozen=True, tag="add"):
    """Sum of two codes of one scale, clamped (or wrapped) into the output format of the same scale."""

    output: FixedFormat
    overflow: Overflow

    ARITY = Add.ARITY

    def value(self, *inputs: Value) -> Value:
        first, second = inputs
        if not (math.isclose(first.scale, self.output.scale) and math.isclose(second.scale, self.output.scale)):
            raise NetworkError(f"layer {self.name}: adds {first} and {second} into {self.output}; all three need one scale")
        if first.shape != second.shape:
            raise NetworkError(f"layer {self.name}: adds {first.shape} and {second.shape}; both must have one shape")
        return Value.of(first.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None, then: FixedFormat | None = None) -> Run:
        """As in `IntegerLayer`; `then` is the format of a ReLU that alone reads the output and runs with it."""
        found = engine.add(codes[0], codes[1], output=self.output, overflow=self.overflow, then=then, threads=threads)
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(OpCounts({("add", max(one.bits for one in inputs) + 1): output.words}))
