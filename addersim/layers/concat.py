"""Concatenation: values side by side along their channels."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value, observe

__all__ = ["Concat", "IntegerConcat"]


def _joined(name: str, shapes: tuple[Shape, ...]) -> Shape:
    """Shape of values joined along their channels."""
    if len({shape[1:] for shape in shapes}) > 1:
        found = ", ".join(map(str, shapes))
        raise NetworkError(f"layer {name}: joins {found} along the first axis; all other axes must be equal")
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


class Concat(Layer, frozen=True, tag="concat"):
    """Two values or more, joined along their first axis: channels, or features."""

    ARITY = 2
    READS_MORE = True
    KEEPS_SCALE = True
    KEEPS_SIGN = True
    PASSES_CODES = True

    def shape(self, *inputs: Shape) -> Shape:
        return _joined(self.name, inputs)

    def run(self, *values: Array, threads: int | None = None) -> Array:
        return np.concatenate(values, axis=-1)

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerConcat(
            name=self.name, inputs=self.inputs, twin=plan.twins.get(self.name), output=plan.formats[self.name]
        )

    def details(self) -> str:
        return f"{len(self.inputs)} values"


def _ends_beyond(given: Value, output: FixedFormat) -> int:
    """How many ends of a value's codes lie outside a format of the same scale."""
    codes = FixedFormat(given.bits, given.signed)
    return (codes.minimum < output.minimum) + (codes.maximum > output.maximum)


class IntegerConcat(IntegerLayer, frozen=True, tag="concat"):
    """Codes of one scale side by side: addressing only, so free.

    Codes that the output's format does not hold are clamped, and that is billed: unsigned ones of 16 bits beside signed ones.
    """

    output: FixedFormat

    ARITY = Concat.ARITY
    READS_MORE = True
    TAKES_ZERO_POINTS = True

    def value(self, *inputs: Value) -> Value:
        for given in inputs:
            if not math.isclose(given.scale, self.output.scale) or given.zero_point != self.output.zero_point:
                raise NetworkError(
                    f"layer {self.name}: joins {given} into {self.output}; all must have one scale and one zero point"
                )
        return Value.of(_joined(self.name, tuple(given.shape for given in inputs)), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        found = [engine.clamp(one, output=self.output, threads=threads) for one in codes]
        joined = np.concatenate([one.values for one in found], axis=-1)
        ends = min(one.minimum for one in found), max(one.maximum for one in found)
        return Run(joined, observe(*ends, sum(one.overflowed for one in found), joined.size))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        steps = [(given.bits, _ends_beyond(given, self.output) * given.words) for given in inputs]
        return Bill(OpCounts([((op, bits), number) for bits, number in steps for op in ("cmp", "mux")]))
