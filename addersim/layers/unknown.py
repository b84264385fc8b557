"""An operation that no layer computes: a network that holds one can be counted, with what is left out named, not run."""

from __future__ import annotations

from typing import NoReturn

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value

__all__ = ["IntegerUnknown", "Unknown"]


def _refuse(layer: Unknown | IntegerUnknown) -> NoReturn:
    raise NetworkError(f"layer {layer.name}: {layer.operation} has no layer; the network can be counted, not run")


class Unknown(Layer, frozen=True, tag="unknown"):
    """An operation of the source that has no layer.

    Attributes
    ----------
    operation
        How the source calls it.
    output
        Shape of what it gives.
    products
        Multiply-accumulates that it is known to do for one image, 0 where nothing is known.
    """

    operation: str
    output: Shape
    products: int = 0

    READS_MORE = True

    def shape(self, *inputs: Shape) -> Shape:
        return self.output

    def run(self, *values: Array, threads: int | None = None) -> Array:
        _refuse(self)

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerUnknown(
            name=self.name,
            inputs=self.inputs,
            twin=None,
            operation=self.operation,
            shape=self.output,
            output=plan.formats[self.name],
            products=self.products,
        )

    def details(self) -> str:
        return f"{self.operation}, left out"


class IntegerUnknown(IntegerLayer, frozen=True, tag="unknown"):
    """The same on codes: its output has a format, its work is not billed."""

    operation: str
    shape: Shape
    output: FixedFormat
    products: int = 0

    READS_MORE = True
    TAKES_ZERO_POINTS = True

    def value(self, *inputs: Value) -> Value:
        return Value.of(self.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        _refuse(self)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(OpCounts(), left_out=self.products)
