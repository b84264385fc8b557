"""Activations: ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.errors import NetworkError
from addersim.fixed import FixedFormat
from addersim.layers.base import Array, Bill, Built, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.ops import OpCounts

__all__ = ["FUNCTIONS", "MODULES", "IntegerRelu", "Relu"]


class Relu(Layer, frozen=True, tag="relu"):
    """``max(x, 0)``."""

    KEEPS_SCALE = True

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def run(self, *values: Array) -> Array:
        return np.maximum(values[0], np.float32(0))

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerRelu(name=self.name, inputs=self.inputs, twin=plan.twins.get(self.name), output=plan.formats[self.name])


class IntegerRelu(IntegerLayer, frozen=True, tag="relu"):
    """Codes below zero become zero, codes above the output format its largest; the scale stays."""

    output: FixedFormat

    def __post_init__(self) -> None:
        if self.output.signed:
            raise NetworkError(f"layer {self.name}: output format {self.output} is signed; ReLU gives unsigned codes")

    def value(self, *inputs: Value) -> Value:
        if inputs[0].scale != self.output.scale:
            raise NetworkError(f"layer {self.name}: input {inputs[0]} and output {self.output} must have one scale")
        return Value.of(inputs[0].shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(engine.clamp(codes[0], output=self.output, threads=threads).values)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(OpCounts({("cmp", inputs[0].bits): output.words, ("mux", inputs[0].bits): output.words}))


def _relu(inplace: bool = False) -> Built:
    return Relu, {}


def _relu_module(module: Any) -> Built:
    return _relu()


MODULES = {"ReLU": _relu_module}
FUNCTIONS = {"relu": _relu, "relu_": _relu}
