"""Layers that only rename, reorder, repeat or leave out positions: reshape, permute, slice, shuffle, pad with zeros."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value

__all__ = ["IntegerMove", "Move", "Permute", "Reshape", "Step", "Take", "moved_shape", "rearrange"]

ZERO = -1
"""The index, in a `Take`, of a position that is filled with zeros."""


class Reshape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="reshape"):
    """The same values in the same order, in another shape."""

    sizes: Shape

    def shape(self, given: Shape) -> Shape:
        if not self.sizes or min(self.sizes) < 1 or math.prod(self.sizes) != math.prod(given):
            raise NetworkError(f"cannot give {given} the shape {self.sizes}")
        return self.sizes

    def run(self, values: Array, zero: int = 0) -> Array:
        return values.reshape(len(values), *self.sizes)

    def __str__(self) -> str:
        return f"reshape to {' x '.join(map(str, self.sizes))}"


class Permute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="permute"):
    """Axes in another order: axis i of the result is axis ``axes[i]``."""

    axes: Shape

    def shape(self, given: Shape) -> Shape:
        if sorted(self.axes) != list(range(len(given))):
            raise NetworkError(f"{self.axes} is no order of the {len(given)} axes of {given}")
        return tuple(given[axis] for axis in self.axes)

    def run(self, values: Array, zero: int = 0) -> Array:
        return values.transpose(0, *(axis + 1 for axis in self.axes))

    def __str__(self) -> str:
        return f"permute {', '.join(map(str, self.axes))}"


class Take(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="take", eq=False):
    """Positions along one axis, in any order and number; index -1 is a position of zeros."""

    axis: int
    indices: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Take) and self.axis == other.axis and np.array_equal(self.indices, other.indices)

    def __hash__(self) -> int:
        return hash((self.axis, self.indices.tobytes()))

    def shape(self, given: Shape) -> Shape:
        if not 0 <= self.axis < len(given):
            raise NetworkError(f"takes positions along axis {self.axis} of {given}")
        if self.indices.ndim != 1 or not self.indices.size or self.indices.dtype.kind != "i":
            raise NetworkError(f"takes {self.indices.dtype} {self.indices.shape}; expected a list of whole numbers")
        low, high = int(self.indices.min()), int(self.indices.max())
        if low < ZERO or high >= given[self.axis]:
            raise NetworkError(f"takes positions {low}..{high} of {given[self.axis]} along axis {self.axis}; -1 gives zeros")
        return (*given[: self.axis], self.indices.size, *given[self.axis + 1 :])

    def run(self, values: Array, zero: int = 0) -> Array:
        regular = self._slice()
        if regular is not None:
            cut: Array = values[(slice(None),) * (self.axis + 1) + (regular,)]
            return cut
        taken: Array = np.take(values, np.maximum(self.indices, 0), axis=self.axis + 1)
        if self.indices.min() == ZERO:
            taken[(slice(None),) * (self.axis + 1) + (self.indices == ZERO,)] = zero
        return taken

    def _slice(self) -> slice | None:
        """The same positions as a slice, where they are equally far apart and rise."""
        first, last = int(self.indices[0]), int(self.indices[-1])
        if first == ZERO:
            return None
        if self.indices.size == 1:
            return slice(first, first + 1)
        step = int(self.indices[1]) - first
        regular = step > 0 and bool((np.diff(self.indices) == step).all())
        return slice(first, last + 1, step) if regular else None

    def __str__(self) -> str:
        filled = int((self.indices == ZERO).sum())
        return f"take {self.indices.size - filled} along axis {self.axis}" + f", {filled} zeros" * bool(filled)


Step = Reshape | Permute | Take


def moved_shape(steps: tuple[Step, ...], given: Shape) -> Shape:
    """Shape after some steps, or a NetworkError that says which does not fit."""
    for step in steps:
        given = step.shape(given)
    return given


def rearrange(steps: tuple[Step, ...], values: Array, zero: int = 0) -> Array:
    """Values after some steps, axes in PyTorch's order with images first; `zero` is what stands for zero among them."""
    for step in steps:
        values = step.run(values, zero)
    return values


def _final(name: str, wanted: Shape, given: Shape) -> Shape:
    """A wanted shape with its one ``-1`` worked out."""
    known = math.prod(size for size in wanted if size != -1)
    sizes = tuple(math.prod(given) // known if size == -1 and known else size for size in wanted)
    if wanted.count(-1) > 1 or math.prod(sizes) != math.prod(given) or min(sizes, default=0) < 1:
        raise NetworkError(f"layer {name}: cannot give {given} the shape {wanted}; one size may be -1")
    return sizes


def _shape(layer: Move | IntegerMove, given: Shape) -> Shape:
    try:
        moved = moved_shape(layer.steps, given)
    except NetworkError as error:
        raise NetworkError(f"layer {layer.name}: {error}") from None
    return _final(layer.name, layer.target, moved)


def _run(layer: Move | IntegerMove, values: Array, zero: int = 0) -> Array:
    first = np.moveaxis(values, -1, 1)
    target = _shape(layer, first.shape[1:])
    return np.moveaxis(rearrange((*layer.steps, Reshape(target)), first, zero), 1, -1)


class Move(Layer, frozen=True, tag="move"):
    """The same numbers, some of them perhaps repeated, left out or set to zero, in another order and shape.

    Attributes
    ----------
    target
        Shape at the end; one size may be -1.
    steps
        What happens before, in order, on axes as PyTorch has them, channels first.
    """

    target: Shape = (-1,)
    steps: tuple[Step, ...] = ()

    KEEPS_SCALE = True
    KEEPS_SIGN = True
    PASSES_CODES = True

    def shape(self, *inputs: Shape) -> Shape:
        return _shape(self, inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        return _run(self, values[0])

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerMove(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            target=self.target,
            steps=self.steps,
        )

    def details(self) -> str:
        if not self.steps:
            return "flatten" if self.target == (-1,) else f"to {self.target}"
        shown = [str(step) for step in self.steps if not isinstance(step, Reshape)]
        return "; ".join([*shown[:3], *["..."] * (len(shown) > 3)])


class IntegerMove(IntegerLayer, frozen=True, tag="move"):
    """The same codes elsewhere: addressing only, so free."""

    output: FixedFormat
    target: Shape = (-1,)
    steps: tuple[Step, ...] = ()

    TAKES_ZERO_POINTS = True

    def value(self, *inputs: Value) -> Value:
        given, expected = inputs[0], self.output
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: input {given} and output {expected} must have one format")
        return Value.of(_shape(self, given.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(_run(self, codes[0], self.output.zero_point))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(OpCounts())


def simplified(steps: tuple[Step, ...], given: Shape) -> tuple[Step, ...]:
    """Steps that do the same, with neighbours of one kind merged and those that do nothing left out."""
    merged: list[Step] = []
    for step in steps:
        before = merged[-1] if merged else None
        if isinstance(step, Reshape) and isinstance(before, Reshape):
            merged[-1] = step
        elif isinstance(step, Permute) and isinstance(before, Permute):
            merged[-1] = Permute(tuple(before.axes[axis] for axis in step.axes))
        elif isinstance(step, Take) and isinstance(before, Take) and step.axis == before.axis:
            kept = np.where(step.indices == ZERO, ZERO, before.indices[step.indices])
            merged[-1] = Take(step.axis, kept)
        else:
            merged.append(step)
        if _does_nothing(merged[-1], moved_shape(tuple(merged[:-1]), given)):
            merged.pop()
    return tuple(merged) if len(merged) == len(steps) else simplified(tuple(merged), given)


def _does_nothing(step: Step, given: Shape) -> bool:
    if isinstance(step, Reshape):
        return step.sizes == given
    if isinstance(step, Permute):
        return all(one < two for one, two in pairwise(step.axes))
    return step.indices.size == given[step.axis] and bool((step.indices == np.arange(given[step.axis])).all())
