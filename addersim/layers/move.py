"""Layers that only rename or reorder positions: flatten and reshape."""

from __future__ import annotations

import math
from typing import Any

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import LoweringError, NetworkError
from addersim.layers.base import Array, Bill, Built, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value

__all__ = ["FUNCTIONS", "MODULES", "IntegerMove", "Move"]


def _target(name: str, wanted: Shape, given: Shape) -> Shape:
    """A wanted shape with its one ``-1`` worked out."""
    known = math.prod(size for size in wanted if size != -1)
    sizes = tuple(math.prod(given) // known if size == -1 and known else size for size in wanted)
    if wanted.count(-1) > 1 or math.prod(sizes) != math.prod(given) or min(sizes, default=0) < 1 or len(sizes) not in (1, 3):
        raise NetworkError(
            f"layer {name}: cannot give {given} the shape {wanted}; allowed: (features,) or (channels, height, width)"
        )
    return sizes


def _move(values: Array, target: Shape) -> Array:
    """Reshape in PyTorch's order, channels before pixels."""
    images = values.shape[0]
    plain = values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
    moved = plain.reshape(images, *target)
    return moved.transpose(0, 2, 3, 1) if len(target) == 3 else moved


class Move(Layer, frozen=True, tag="move"):
    """The same numbers in another shape. One size of `target` may be -1."""

    target: Shape = (-1,)

    KEEPS_SCALE = True
    KEEPS_SIGN = True

    def shape(self, *inputs: Shape) -> Shape:
        return _target(self.name, self.target, inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        given = values[0].shape[1:]
        return _move(values[0], _target(self.name, self.target, given))

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerMove(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            target=self.target,
        )

    def details(self) -> str:
        return "flatten" if self.target == (-1,) else f"to {self.target}"


class IntegerMove(IntegerLayer, frozen=True, tag="move"):
    """The same codes in another shape: addressing only, so free."""

    output: FixedFormat
    target: Shape = (-1,)

    def value(self, *inputs: Value) -> Value:
        given, expected = inputs[0], self.output
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: input {given} and output {expected} must have one format")
        return Value.of(_target(self.name, self.target, given.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(_move(codes[0], _target(self.name, self.target, codes[0].shape[1:])))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(OpCounts())


def _flatten(start_dim: int = 0, end_dim: int = -1) -> Built:
    if start_dim != 1 or end_dim not in (-1, 3):
        raise LoweringError(
            f"flatten(start_dim={start_dim}, end_dim={end_dim}) is not supported; only from axis 1 to the last"
        )
    return Move, {"target": (-1,)}


def _reshape(*sizes: Any) -> Built:
    """``view`` and ``reshape``: the first size is the batch and may be anything, the rest are numbers."""
    sizes = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    target = sizes[1:]
    if not target or not all(isinstance(size, int) for size in target):
        raise LoweringError(f"reshape to {sizes} is not supported; sizes after the batch must be numbers, such as (batch, -1)")
    if sizes[0] == -1 and -1 in target:
        raise LoweringError(f"reshape to {sizes} has two sizes of -1")
    return Move, {"target": target}


MODULES = {"Flatten": lambda module: _flatten(module.start_dim, module.end_dim)}
FUNCTIONS = {"flatten": _flatten, "view": _reshape, "reshape": _reshape}
