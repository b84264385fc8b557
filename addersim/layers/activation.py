"""Activations: ReLU, with or without an upper bound (ReLU6)."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value

__all__ = ["IntegerRelu", "Relu"]


class Relu(Layer, frozen=True, tag="relu"):
    """``max(x, 0)``, or ``min(max(x, 0), maximum)``."""

    maximum: float | None = None

    KEEPS_SCALE = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.maximum is not None and not 0 < self.maximum < math.inf:
            raise NetworkError(f"layer {self.name}: maximum {self.maximum} is not a positive number")

    def is_never_negative(self, *inputs: bool) -> bool:
        return True

    def cuts_negatives(self) -> bool:
        return True

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def run(self, *values: Array, threads: int | None = None) -> Array:
        above = np.maximum(values[0], 0)
        return above if self.maximum is None else np.minimum(above, float(self.maximum))

    def integer(self, plan: Plan) -> IntegerLayer:
        output = plan.formats[self.name]
        bound = None if self.maximum is None else max(1, round(min(self.maximum / output.scale, output.maximum)))
        return IntegerRelu(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=output,
            maximum=bound if bound is not None and bound < output.maximum else None,
        )

    def details(self) -> str:
        return "" if self.maximum is None else f"up to {self.maximum:g}"


class IntegerRelu(IntegerLayer, frozen=True, tag="relu"):
    """Codes below zero become zero, codes above `maximum` (None: the output format's largest) become that; the scale stays."""

    output: FixedFormat
    maximum: int | None = None

    READS_SUMS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.maximum is not None and not 1 <= self.maximum < self.output.maximum:
            raise NetworkError(f"layer {self.name}: maximum code {self.maximum} is not in 1..{self.output.maximum - 1}")
        if self.output.signed:
            raise NetworkError(f"layer {self.name}: output format {self.output} is signed; ReLU gives unsigned codes")

    def value(self, *inputs: Value) -> Value:
        if inputs[0].scale != self.output.scale:
            raise NetworkError(f"layer {self.name}: input {inputs[0]} and output {self.output} must have one scale")
        return Value.of(inputs[0].shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        values = engine.clamp(codes[0], output=self.output, threads=threads).values
        return Run(values if self.maximum is None else np.minimum(values, values.dtype.type(self.maximum)))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        ends = 1 if self.maximum is None else 2
        steps = OpCounts({("cmp", given.bits): ends * output.words, ("mux", given.bits): ends * output.words})
        return Bill(steps + given.correction)
