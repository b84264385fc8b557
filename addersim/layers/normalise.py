"""Normalisation by the values' own mean and spread: layer, group, instance and root-mean-square norms without their affine."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.falling import Falling, reciprocal_root

__all__ = ["IntegerNormalise", "Normalise"]

MOST_SUM = 1 << 31
"""Of a group's size times its largest code: squares then stay below 2**62."""
MOST_FRACTION_BITS = 8
"""Of a step of a spread: what epsilon adds may be less than one."""


def _axes(kept: int, rank: int) -> tuple[int, ...]:
    """Axes of an array of images that are normalised over: all but the first `kept` of the value's shape."""
    return tuple(range(1, rank + 1)) if kept == 0 else tuple(range(kept, rank))


def _group(name: str, kept: int, shape: Shape) -> int:
    """Number of values that are normalised together."""
    if kept >= len(shape):
        raise NetworkError(f"layer {name}: keeps {kept} axes; the input {shape} needs one more to normalise over")
    return math.prod(shape[kept:])


class Normalise(Layer, frozen=True, tag="normalise"):
    """``(x - mean) / sqrt(variance + epsilon)`` over all axes of the value's shape but the first `kept`.

    Without `centre` it is ``x / sqrt(mean of squares + epsilon)``.
    """

    kept: int = 1
    epsilon: float = 1e-5
    centre: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kept < 0:
            raise NetworkError(f"layer {self.name}: keeps {self.kept} axes; expected 0 or more")
        if not 0 <= self.epsilon < math.inf:
            raise NetworkError(f"layer {self.name}: epsilon {self.epsilon}; expected a finite number from 0 on")

    def is_never_negative(self, *inputs: bool) -> bool:
        return all(inputs) and not self.centre

    def shape(self, *inputs: Shape) -> Shape:
        _group(self.name, self.kept, inputs[0])
        return inputs[0]

    def run(self, *values: Array, threads: int | None = None) -> Array:
        x = values[0].astype(np.float64)
        axes = _axes(self.kept, x.ndim - 1)
        if self.centre:
            x = x - x.mean(axis=axes, keepdims=True)
        spread = np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + self.epsilon)
        # a group of equal values has nothing to divide where epsilon is zero
        found: Array = np.divide(x, spread, out=np.zeros_like(x), where=spread > 0)
        return found.astype(values[0].dtype, copy=False)

    def integer(self, plan: Plan) -> IntegerLayer:
        source, output = plan.formats[self.inputs[0]], plan.formats[self.name]
        return IntegerNormalise(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            kept=self.kept,
            centre=self.centre,
            epsilon=self.epsilon / source.scale**2,
            table=reciprocal_root(1.0 / output.scale),
            source=source,
            output=output,
        )

    def details(self) -> str:
        over = "all axes" if self.kept == 0 else f"all axes but {self.kept}"
        return f"{'' if self.centre else 'without mean, '}over {over}"


class IntegerNormalise(IntegerLayer, frozen=True, tag="normalise"):
    """Exact sums of codes and of their squares, the root's reciprocal from a table, one product and one shift an output.

    Of ``n`` codes x in a group, ``d = n * x - sum(x)`` and ``v = n * sum(x * x) - sum(x)**2`` (without `centre` ``n * x`` and
    ``n * sum(x * x)``): outputs are ``d / sqrt(v + n * n * epsilon)`` over the output's scale. They are off by half a code for
    the last rounding and, relatively, by 2**-18 for the table and half a step of ``v``, usually 2**-17, for epsilon.

    Attributes
    ----------
    epsilon
        In squares of the input's scale.
    table
        Of ``x**-0.5`` over the output's scale.
    """

    kept: int
    centre: bool
    epsilon: float
    table: Falling
    source: FixedFormat
    output: FixedFormat

    def __post_init__(self) -> None:
        super().__post_init__()
        self.table.check(f"layer {self.name}", 2)
        if self.kept < 0 or not 0 <= self.epsilon < math.inf:
            given = f"{self.kept} axes, epsilon {self.epsilon}"
            raise NetworkError(f"layer {self.name}: keeps {given}; expected numbers from 0 on")

    @property
    def _largest(self) -> int:
        return max(-self.source.minimum, self.source.maximum)

    def _square(self, group: int) -> int:
        """Width of ``v``."""
        return bits_for(0, (group * self._largest) ** 2, signed=False)

    def _fraction_bits(self, group: int) -> int:
        """Of the root of ``v``: as many as 64 bits leave room for."""
        room = 62 - self._square(group)
        return max(0, min(MOST_FRACTION_BITS, room // 2))

    def _added(self, group: int) -> int:
        """What epsilon adds to ``v``, in its steps."""
        return round(min(self.epsilon * group * group * 4.0 ** self._fraction_bits(group), 2.0**61))

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        where = f"layer {self.name}"
        if given != Value.of(given.shape, self.source):
            raise NetworkError(f"{where}: input {given}; the sums were made for {self.source}")
        group = _group(self.name, self.kept, given.shape)
        if group * self._largest >= MOST_SUM:
            raise NetworkError(
                f"{where}: {group:,} codes of {given.bits} bits a group do not fit sums of 64 bits; use narrower activations"
            )
        if self._added(group) >= 1 << 61:
            raise NetworkError(f"{where}: epsilon is {self.epsilon:.3g} squared input steps; at most 2**61 / {group}**2")
        least = max(1, self._added(group)).bit_length() - 1
        if self.table.shift - self._fraction_bits(group) + least // 2 < 0:
            scale = f"output scale {self.output.scale:.3g}"
            raise NetworkError(f"{where}: {scale} is too fine for mantissas of 24 bits; use narrower activations")
        return Value.of(given.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        x = codes[0].astype(np.int64)
        axes = _axes(self.kept, x.ndim - 1)
        group = math.prod(x.shape[axis] for axis in axes)
        difference, squares = group * x, group * np.square(x).sum(axis=axes, keepdims=True)
        if self.centre:
            total = x.sum(axis=axes, keepdims=True)
            difference, squares = difference - total, squares - total * total
        bits = self._fraction_bits(group)
        # where the sum is zero so are all differences, and any number serves
        spread = np.maximum((squares << 2 * bits) + self._added(group), 1)
        table = Falling(base=self.table.base, slope=self.table.slope, shift=self.table.shift - bits)
        return Run(table.times(engine, spread, difference, self.output, threads))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        group = _group(self.name, self.kept, given.shape)
        groups, words, square = given.words // group, given.words, self._square(group)
        low, high = group * self.source.minimum, group * self.source.maximum
        total = bits_for(low, high, signed=low < 0)
        second = bits_for(0, group * self._largest**2, signed=False)
        difference = bits_for(low - high, high - low) if self.centre else total
        size = group.bit_length()
        steps = [
            (("mul", given.bits), words),
            (("add", second), words - groups),
            (("mul", max(second, size)), groups),
            (("mul", max(given.bits, size)), words),
        ]
        if self.centre:
            steps += [(("add", total), words - groups), (("mul", total), groups)]
            steps += [(("sub", square), groups), (("sub", difference), words)]
        if self._added(group):
            steps.append((("add", square), groups))
        return Bill(OpCounts(steps) + self.table.counts(groups, words, difference, square), weights=self.table.memory)
