"""Softmax along one axis, inside a network: attention."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for, shift_right
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError, QuantizationError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.falling import Falling, reciprocal
from addersim.trace import Operand

__all__ = ["IntegerSoftmax", "Softmax"]

FRACTION_BITS = 24
"""Of exponentials: one is ``2**24``."""
LARGEST_TABLE_BITS = 10
"""Differences up to this width have an entry each; of wider ones the upper and the lower bits have, which are multiplied."""
LARGEST_GROUP = 1 << 36
"""Numbers of an axis whose exponentials still sum to less than 2**61."""


def _axis(name: str, axis: int, shape: Shape) -> int:
    """The axis of an array of images that is an axis of the value's shape."""
    if not 0 <= axis < len(shape):
        raise NetworkError(f"layer {name}: axis {axis}; the input {shape} has 0..{len(shape) - 1}")
    return len(shape) if axis == 0 else axis


class Softmax(Layer, frozen=True, tag="softmax"):
    """``exp(x) / sum(exp(x))`` along one axis of the value's shape, counted from 0: channels, or features.

    With `log` the logarithm of that, which has no integer form: it stands at the end, where it changes no choice of a class.
    """

    axis: int = 0
    log: bool = False

    HAS_OWN_SCALE = True

    def is_never_negative(self, *inputs: bool) -> bool:
        return not self.log

    def own_scale(self, bits: int) -> float:
        return 2.0**-bits

    def shape(self, *inputs: Shape) -> Shape:
        _axis(self.name, self.axis, inputs[0])
        return inputs[0]

    def run(self, *values: Array, threads: int | None = None) -> Array:
        axis = _axis(self.name, self.axis, values[0].shape[1:])
        x = values[0].astype(np.float64)
        x -= x.max(axis=axis, keepdims=True)
        powers = np.exp(x)
        if self.log:
            found: Array = x - np.log(powers.sum(axis=axis, keepdims=True))
            return found.astype(values[0].dtype)
        shares: Array = powers / powers.sum(axis=axis, keepdims=True)
        return shares.astype(values[0].dtype, copy=False)

    def integer(self, plan: Plan) -> IntegerLayer:
        if self.log:
            raise QuantizationError(f"layer {self.name}: a logarithm of softmax has no integer form, except at the end")
        source, output = plan.formats[self.inputs[0]], plan.formats[self.name]
        upper, lower = _exponentials(source)
        return IntegerSoftmax(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            axis=self.axis,
            upper=upper,
            lower=lower,
            table=reciprocal(1.0 / output.scale),
            source=source,
            output=output,
        )

    def details(self) -> str:
        return f"{'log, ' * self.log}axis {self.axis}"


def _exponentials(source: FixedFormat) -> tuple[Array, Array]:
    """``exp(-difference)`` for the upper and for the lower bits of a difference of codes; one alone where it is narrow."""
    low_bits = 0 if source.bits <= LARGEST_TABLE_BITS else source.bits // 2
    places = (np.arange(1 << (source.bits - low_bits)) << low_bits, np.arange(1 << low_bits))
    upper, lower = (np.rint(np.exp(-part * source.scale) * 2.0**FRACTION_BITS).astype(np.int32) for part in places)
    return upper, lower


class IntegerSoftmax(IntegerLayer, frozen=True, tag="softmax"):
    """The exponential of what each code lies below the largest, from a table; the exact sum; its reciprocal, from a table.

    Outputs are off by half a code for the last rounding, relatively by 2**-18 for the table of reciprocals, and, of ``n``
    numbers, by at most ``(n + 1) * 2**-24`` for exponentials.

    Attributes
    ----------
    upper, lower
        int32, 24 fraction bits: exponential for the upper and for the lower bits of a difference.
    table
        Of ``1 / x`` over the output's scale.
    """

    axis: int
    upper: np.ndarray
    lower: np.ndarray
    table: Falling
    source: FixedFormat
    output: FixedFormat

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        self.table.check(where, 1)
        for field in ("upper", "lower"):
            found = getattr(self, field)
            if found.dtype != np.int32 or found.ndim != 1 or not found.size or found[0] != 1 << FRACTION_BITS:
                raise NetworkError(f"{where}: {field} is {found.dtype} {found.shape}; expected int32 that begins with 2**24")
            if found.min() < 0 or found.max() > found[0]:
                raise NetworkError(f"{where}: {field} holds {found.min()}..{found.max()}; expected 0..2**24")
        if self.upper.size * self.lower.size != 1 << self.source.bits or self.lower.size & (self.lower.size - 1):
            sizes = f"{self.upper.size} by {self.lower.size} entries"
            raise NetworkError(f"{where}: {sizes} do not make up differences of {self.source.bits} bits")
        if not self.table.shift + FRACTION_BITS >= 0:
            raise NetworkError(f"{where}: output scale {self.output.scale:.3g} is too fine; use narrower activations")

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if given != Value.of(given.shape, self.source):
            raise NetworkError(f"layer {self.name}: input {given}; the exponentials were made for {self.source}")
        _axis(self.name, self.axis, given.shape)
        if given.shape[self.axis] >= LARGEST_GROUP:
            raise NetworkError(
                f"layer {self.name}: {given.shape[self.axis]:,} numbers; at most {LARGEST_GROUP - 1:,} are summed"
            )
        return Value.of(given.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        x = codes[0].astype(np.int64)
        axis = _axis(self.name, self.axis, x.shape[1:])
        below = x.max(axis=axis, keepdims=True) - x
        powers = self.upper[below // self.lower.size].astype(np.int64)
        if self.lower.size > 1:
            powers = shift_right(powers * self.lower[below % self.lower.size], FRACTION_BITS)
        total = powers.sum(axis=axis, keepdims=True)
        return Run(self.table.times(engine, total, powers, self.output, threads))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        words, group = given.words, given.shape[self.axis]
        groups, one = words // group, FRACTION_BITS + 1
        total = bits_for(0, group << FRACTION_BITS, signed=False)
        steps = [
            (("cmp", given.bits), words - groups),
            (("mux", given.bits), words - groups),
            (("sub", given.bits), words),
            (("add", total), words - groups),
        ]
        if self.lower.size > 1:
            steps += [(("mul", one), words), (("shift", 2 * one), words)]
        counts = OpCounts(steps) + self.table.counts(groups, words, one, total)
        entries = self.upper.size + (self.lower.size if self.lower.size > 1 else 0)
        stored = entries * one + self.table.memory.size_bits
        return Bill(counts, weights=Operand(math.ceil(stored / one), one))
