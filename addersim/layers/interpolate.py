"""Linear resizing: each output lies between two inputs of every spatial axis."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Rounding
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.narrowing import narrow
from addersim.trace import Operand

__all__ = ["IntegerInterpolate", "Interpolate", "Taps"]

MOST_FRACTION_BITS = 46
"""Of all axes together: beside codes of 16 bits they stay below 2**62."""


class Taps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the outputs along one axis come from: two inputs each, and the share of the second, 0..1."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    share: tuple[float, ...]


def _check(name: str, axes: tuple[Taps, ...]) -> None:
    """Refuse axes without outputs, of several sizes, or with shares that are none."""
    for place, one in enumerate(axes, 1):
        where = f"layer {name}: axis {place}"
        if not len(one.first) == len(one.second) == len(one.share) > 0:
            sizes = f"{len(one.first)} first, {len(one.second)} second, {len(one.share)} shares"
            raise NetworkError(f"{where}: {sizes}; expected as many of each, at least one")
        if min(*one.first, *one.second) < 0:
            raise NetworkError(f"{where}: reads place {min(*one.first, *one.second)}; places count from 0")
        if not all(0 <= share <= 1 for share in one.share):
            wrong = next(share for share in one.share if not 0 <= share <= 1)
            raise NetworkError(f"{where}: a share of {wrong}; expected 0..1")


def _resized(name: str, axes: tuple[Taps, ...], shape: Shape) -> Shape:
    if len(shape) != 1 + len(axes):
        found = f"the input {shape} has {len(shape) - 1} behind its channels"
        raise NetworkError(f"layer {name}: resizes {len(axes)} axes; {found}")
    for place, (one, size) in enumerate(zip(axes, shape[1:], strict=True), 1):
        if (last := max(*one.first, *one.second)) >= size:
            raise NetworkError(f"layer {name}: axis {place}: reads place {last}; the input {shape} has 0..{size - 1}")
    return (shape[0], *(len(one.first) for one in axes))


def _along(values: Array, axis: int) -> Array:
    """A vector that lies along one axis of a value's array, for products with it."""
    return values.reshape(-1, *(1,) * axis)


class Interpolate(Layer, frozen=True, tag="interpolate"):
    """Linear, bilinear or trilinear resizing; `axes` say for each axis behind the channels what its outputs lie between."""

    axes: tuple[Taps, ...]

    KEEPS_SCALE = True
    KEEPS_SIGN = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.axes:
            raise NetworkError(f"layer {self.name}: resizes no axis; expected one or more")
        _check(self.name, self.axes)

    def shape(self, *inputs: Shape) -> Shape:
        return _resized(self.name, self.axes, inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        found = values[0].astype(np.float64)
        for axis, one in enumerate(self.axes, 1):
            share = _along(np.array(one.share), len(self.axes) + 1 - axis)
            found = found.take(one.first, axis) * (1 - share) + found.take(one.second, axis) * share
        return found.astype(values[0].dtype)

    def integer(self, plan: Plan) -> IntegerLayer:
        bits = min(plan.how.multiplier_bits - 1, MOST_FRACTION_BITS // len(self.axes))
        return IntegerInterpolate(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            axes=self.axes,
            fraction_bits=bits,
            output=plan.formats[self.name],
            rounding=plan.rounding(self.name),
        )

    def details(self) -> str:
        return "to " + " x ".join(str(len(one.first)) for one in self.axes)


class IntegerInterpolate(IntegerLayer, frozen=True, tag="interpolate"):
    """Two codes of every axis times fractions that sum to one exactly; one axis after the other, rounded once at the end.

    An axis of which every output is one input, with the fraction one, only moves codes. Codes are taken as they are, zero
    point included; with `ties_away` ties go away from the code zero, as TensorFlow Lite has them.
    """

    axes: tuple[Taps, ...]
    fraction_bits: int
    output: FixedFormat
    rounding: Rounding
    ties_away: bool = False

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.name, self.axes)
        if not self.axes or not 1 <= self.fraction_bits <= MOST_FRACTION_BITS // len(self.axes):
            most = MOST_FRACTION_BITS // max(1, len(self.axes))
            found = f"{self.fraction_bits} fraction bits on {len(self.axes)} axes"
            raise NetworkError(f"layer {self.name}: {found}; allowed: 1..{most}")
        if self.ties_away and self.rounding != "half-up":
            raise NetworkError(f"layer {self.name}: rounds {self.rounding} and ties away from zero; those go with half-up")

    def fractions(self, one: Taps) -> Array:
        """Share of the second input of each output along an axis, in steps of ``2**-fraction_bits``."""
        found: Array = np.rint(np.ldexp(np.array(one.share), self.fraction_bits)).astype(np.int64)
        return found

    def _between(self, one: Taps) -> Array:
        """Which outputs along an axis lie between two inputs."""
        fractions = self.fractions(one)
        found: Array = (fractions > 0) & (fractions < 1 << self.fraction_bits) & (np.array(one.first) != np.array(one.second))
        return found

    @property
    def shift(self) -> int:
        """Fraction bits of the sums: those of each axis along which something lies between two inputs."""
        return self.fraction_bits * sum(bool(self._between(one).any()) for one in self.axes)

    def value(self, *inputs: Value) -> Value:
        if not math.isclose(inputs[0].scale, self.output.scale) or inputs[0].zero_point != self.output.zero_point:
            raise NetworkError(
                f"layer {self.name}: input {inputs[0]} and output {self.output} must have one scale and one zero point"
            )
        return Value.of(_resized(self.name, self.axes, inputs[0].shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        wide = codes[0]
        for axis, one in enumerate(self.axes, 1):
            places, fractions = (np.array(one.first), np.array(one.second)), self.fractions(one)
            if self._between(one).any():
                wide = engine.blend(wide, *places, fractions, axis=axis, bits=self.fraction_bits, threads=threads)
            else:
                wide = wide.take(np.where(fractions > 0, places[1], places[0]), axis)
        if self.ties_away and self.shift:
            wide = wide - (wide < 0)  # a tie below zero is no longer one, and nothing else crosses a half
        found = narrow(engine, wide, (1, self.shift), self.output, self.rounding, threads=threads)
        return Run(found.values)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        shape, bits, counts, stored = list(inputs[0].shape), inputs[0].bits, OpCounts(), 0
        for axis, one in enumerate(self.axes, 1):
            shape[axis] = len(one.first)
            between = int(self._between(one).sum())
            if not between:
                continue
            words = math.prod(shape) // shape[axis] * between
            multiplier = max(bits, self.fraction_bits)
            bits += self.fraction_bits
            counts += OpCounts({("mul", multiplier): 2 * words, ("add", bits): words})
            stored += between
        if self.shift:
            counts += OpCounts({("shift", bits): output.words} | ({("add", bits): output.words} if self.ties_away else {}))
        return Bill(counts, weights=Operand(stored, self.fraction_bits if stored else 0))
