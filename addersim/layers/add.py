"""Sum or difference of two values: residual additions, gates, offsets."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Overflow
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.kernels.chains import Link, add_link
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value, observe
from addersim.layers.broadcast import common_shape, stretched

__all__ = ["Add", "IntegerAdd"]


class Add(Layer, frozen=True, tag="add"):
    """``a + b`` or ``a - b``, of two values of one shape or of shapes with size 1 where they differ."""

    subtract: bool = False

    ARITY = 2
    KEEPS_SCALE = True

    def is_never_negative(self, *inputs: bool) -> bool:
        return all(inputs) and not self.subtract

    def shape(self, *inputs: Shape) -> Shape:
        return common_shape(self.name, "adds", *inputs)

    def run(self, *values: Array, threads: int | None = None) -> Array:
        combine = np.subtract if self.subtract else np.add
        return combine(values[0], values[1])

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerAdd(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            overflow=plan.how.overflow,
            subtract=self.subtract,
        )

    def details(self) -> str:
        return "a - b" if self.subtract else ""


class IntegerAdd(IntegerLayer, frozen=True, tag="add"):
    """Sum or difference of two codes of one scale, clamped (or wrapped) into the output format of the same scale."""

    output: FixedFormat
    overflow: Overflow
    subtract: bool = False

    ARITY = Add.ARITY

    def value(self, *inputs: Value) -> Value:
        first, second = inputs
        if not (math.isclose(first.scale, self.output.scale) and math.isclose(second.scale, self.output.scale)):
            raise NetworkError(f"layer {self.name}: adds {first} and {second} into {self.output}; all three need one scale")
        return Value.of(common_shape(self.name, "adds", first.shape, second.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None, then: FixedFormat | None = None) -> Run:
        """As in `IntegerLayer`; `then` is the format of a ReLU that alone reads the output and runs with it."""
        found = engine.add(
            *stretched(codes[0], codes[1]),
            output=self.output,
            overflow=self.overflow,
            then=then,
            subtract=self.subtract,
            threads=threads,
        )
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def link(self, then: FixedFormat | None, *inputs: Value) -> Link | None:
        """The step of a chain that this is, with a ReLU that alone reads the output, where codes of one shape are added."""
        if self.subtract or inputs[0].shape != inputs[1].shape or any(one.is_sum or one.bits > 16 for one in inputs):
            return None
        first, second = (FixedFormat(one.bits, one.signed) for one in inputs)
        return add_link(first, second, self.output, self.overflow, then)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        operation = "sub" if self.subtract else "add"
        return Bill(OpCounts({(operation, max(one.bits for one in inputs) + 1): output.words}))
