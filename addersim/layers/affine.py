"""Affine layers: batch norm and scalar arithmetic in float; multiply, add, shift on codes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import Formula, requantisation_rule
from addersim.errors import NetworkError, QuantizationError
from addersim.layers.base import (
    Array,
    Bill,
    Engine,
    IntegerLayer,
    Layer,
    Plan,
    Run,
    Shape,
    Value,
    observe,
)
from addersim.layers.rescale import IntegerRescale, rule_after
from addersim.trace import Operand

__all__ = ["Affine", "IntegerAffine", "fixed_multiplier"]

MAX_SHIFT = 62
_CONSTANT_BIAS = 1 << 30
"""Beside it no sum counts: what a rule that adds biases first holds for a channel that is the same whatever comes in."""
_BEFORE: Mapping[Formula, float] = MappingProxyType({"quant-ceil": -0.5, "quant-floor": 0.5})
"""What a whole number needs for a formula that does not round to nearest to give it, whatever little is added or taken."""
_ADDEND_LIMIT = 2.0**60
"""Products stay below 2**62 beside addends below this, so that a 64-bit sum never overflows."""


class Affine(Layer, frozen=True, tag="affine"):
    """``y = multiplier * x + addend``, both of shape ``(channels,)`` or ``(1,)``, in float64.

    Batch norm at inference: multiplier ``gamma / sqrt(variance + epsilon)``, addend ``beta - mean * multiplier``. `trained`
    is how many trained values are behind these; None: as many as they are.
    """

    multiplier: np.ndarray
    addend: np.ndarray
    trained: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained is not None and self.trained < 0:
            raise NetworkError(f"layer {self.name}: {self.trained} trained values; expected at least 0")
        for field, values in (("multiplier", self.multiplier), ("addend", self.addend)):
            if values.ndim != 1 or values.size == 0:
                raise NetworkError(f"layer {self.name}: {field} is {values.dtype} {values.shape}; expected one axis of floats")
        if self.multiplier.shape != self.addend.shape:
            sizes = f"{self.multiplier.size} multipliers and {self.addend.size} addends"
            raise NetworkError(f"layer {self.name}: {sizes}; expected as many of both")

    def shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if self.multiplier.size not in (1, shape[0]):
            raise NetworkError(f"layer {self.name}: {self.multiplier.size} channels, the input {shape} has {shape[0]}")
        return shape

    def run(self, *values: Array, threads: int | None = None) -> Array:
        outputs: Array = (values[0].astype(np.float64) * self.multiplier + self.addend).astype(values[0].dtype)
        return outputs

    def after(self, first: Affine) -> Affine:
        """One layer that does `first` and then this one."""
        multiplier, addend = np.broadcast_arrays(
            self.multiplier * first.multiplier, self.multiplier * first.addend + self.addend
        )
        trained = self.parameters() + first.parameters()
        return Affine(name=self.name, inputs=first.inputs, multiplier=multiplier.copy(), addend=addend.copy(), trained=trained)

    def integer(self, plan: Plan) -> IntegerLayer:
        output = plan.formats[self.name]
        multiplier, addend, shift = self._constants(plan, output) if plan.calibrated else self._full_bill(plan)
        return IntegerAffine(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            multiplier=multiplier,
            addend=addend,
            shift=shift,
            multiplier_bits=plan.how.multiplier_bits,
            output=output,
            rounding=plan.rounding(self.name),
            overflow=plan.how.overflow,
        )

    def _constants(self, plan: Plan, output: FixedFormat) -> tuple[Array, Array, Array]:
        gains = self.multiplier * (plan.scales[self.inputs[0]] / output.scale)
        source = plan.formats.get(self.inputs[0])
        zero = 0 if source is None else source.zero_point  # sums have none
        addends = self.addend / output.scale + output.zero_point - gains * zero
        multiplier, shift = fixed_multiplier(gains, plan.how.multiplier_bits, addends, self.name)
        return multiplier, np.rint(np.ldexp(addends, shift.astype(np.int64))).astype(np.int64), shift

    def _full_bill(self, plan: Plan) -> tuple[Array, Array, Array]:
        """Constants of a program that is only counted: fresh weights may be ones and zeros, trained ones are not."""
        size = self.multiplier.size
        only_shifts = plan.how.power_of_two and bool((self.multiplier == 1).all())
        return np.full(size, 1 if only_shifts else 3, np.int32), np.ones(size, np.int64), np.ones(size, np.uint8)

    def details(self) -> str:
        if self.multiplier.size > 1:
            return f"{self.multiplier.size} channels"
        return f"x * {self.multiplier[0]:.6g} + {self.addend[0]:.6g}"

    def parameters(self) -> int:
        return self.multiplier.size + self.addend.size if self.trained is None else self.trained


def fixed_multiplier(reals: Array, bits: int, addends: Array, where: str) -> tuple[Array, Array]:
    """Integers ``m`` of a width and shifts ``s`` with ``m / 2**s`` as near as can be to reals.

    Parameters
    ----------
    reals
        Shape ``(channels,)``.
    bits
        Two's-complement width of ``m``.
    addends
        Shape ``(channels,)``, in output codes: the shift stays small enough for ``addend * 2**s`` to fit 64-bit sums.
    where
        Name of the layer, for errors.

    Returns
    -------
    multiplier, shift
        int32 and uint8 arrays of shape ``(channels,)``. Common powers of two are divided out, so that a pure change of scale
        by powers of two gets a multiplier of one.
    """
    limit = 2 ** (bits - 1) - 1
    mantissa, exponent = np.frexp(np.asarray(reals, np.float64))
    shift = (bits - 1) - exponent
    shift -= np.abs(np.rint(np.ldexp(reals, shift))) > limit  # the mantissa rounded up to a power of two
    room = np.floor(np.log2(_ADDEND_LIMIT / np.maximum(np.abs(addends), 1.0))).astype(np.int64)
    shift = np.minimum(shift, np.minimum(room, MAX_SHIFT))
    shift = np.where(mantissa == 0, 0, shift)
    if (shift < 0).any():
        worst = float(np.abs(reals).max())
        raise QuantizationError(
            f"layer {where}: a gain of {worst:.4g} output codes a step does not fit {bits} multiplier bits"
        )
    multiplier = np.rint(np.ldexp(reals, shift)).astype(np.int64)
    zeros = np.array([(int(m) & -int(m)).bit_length() - 1 if m else s for m, s in zip(multiplier, shift, strict=True)])
    common = np.minimum(zeros, shift)
    return (multiplier >> common).astype(np.int32), (shift - common).astype(np.uint8)


class IntegerAffine(IntegerLayer, frozen=True, tag="affine"):
    """``y = round((x * multiplier + addend) / 2**shift)`` into a format, a channel at a time or one for all.

    Both are codes as they are: what zero points of input and output make of them is part of the addend.

    Attributes
    ----------
    multiplier, addend, shift
        int32, int64 and uint8, shape ``(channels,)`` or ``(1,)``; shifts of 0..62.
    multiplier_bits
        Width of the hardware's multiplier port, which is what is billed.
    """

    multiplier: np.ndarray
    addend: np.ndarray
    shift: np.ndarray
    multiplier_bits: int
    output: FixedFormat
    rounding: Rounding
    overflow: Overflow

    READS_SUMS = True
    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = {"multiplier": np.dtype(np.int32), "addend": np.dtype(np.int64), "shift": np.dtype(np.uint8)}
        for field, dtype in wanted.items():
            values = getattr(self, field)
            if values.dtype != dtype or values.ndim != 1 or values.shape != self.multiplier.shape or not values.size:
                raise NetworkError(
                    f"layer {self.name}: {field} is {values.dtype} {values.shape}; expected {dtype}, one a channel"
                )
        if self.shift.max() > MAX_SHIFT:
            raise NetworkError(f"layer {self.name}: shift {self.shift.max()}; allowed are 0..{MAX_SHIFT}")
        if not 2 <= self.multiplier_bits <= 32 or np.abs(self.multiplier.astype(np.int64)).max() >> (self.multiplier_bits - 1):
            largest = np.abs(self.multiplier.astype(np.int64)).max()
            raise NetworkError(f"layer {self.name}: multiplier {largest} does not fit {self.multiplier_bits} bits (2..32)")

    def value(self, *inputs: Value) -> Value:
        shape = inputs[0].shape
        if self.multiplier.size not in (1, shape[0]):
            raise NetworkError(f"layer {self.name}: {self.multiplier.size} channels, the input {shape} has {shape[0]}")
        return Value.of(shape, self.output)

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        """A rescale of the real gains ``multiplier / 2**shift``; under ``addersim`` and as a comparison with a sign, itself.

        The addend in steps of the input is rounded to a whole bias, as rules that add their biases first have it.
        """
        if rule == "addersim" or self.output.bits == 1:
            return self
        if self.overflow == "wrap":
            raise NetworkError(f"layer {self.name}: wraps what leaves {self.output}; under rule {rule} it would saturate")
        places = self.shift.astype(np.int64)
        own = self.addend - (self.output.zero_point << places)
        gains = np.ldexp(self.multiplier.astype(np.float64), -places)
        bias = np.rint(own / np.where(self.multiplier, self.multiplier, 1)).astype(np.int64)
        if (constant := self.multiplier == 0).any():
            codes = np.rint(np.ldexp(own.astype(np.float64), -places)) + _BEFORE.get(requantisation_rule(rule).formula, 0)
            if (np.abs(codes[constant]).max() * 2.0 ** inputs[0].bits) >= _CONSTANT_BIAS:
                raise NetworkError(f"layer {self.name}: rule {rule} cannot hold a constant channel of sums this wide")
            bias, gains = np.where(constant, _CONSTANT_BIAS, bias), np.where(constant, codes / _CONSTANT_BIAS, gains)
        return IntegerRescale(
            name=self.name,
            inputs=self.inputs,
            twin=self.twin,
            bias=bias,
            scale=gains,
            rule=rule_after(rule, inputs[0]),
            output=self.output,
        )

    def constants(self, channels: int) -> tuple[Array, Array, Array]:
        """Multiplier, addend and shift of every channel."""
        m, a, s = (np.ascontiguousarray(np.broadcast_to(one, channels)) for one in (self.multiplier, self.addend, self.shift))
        return m, a, s

    def behind(self, window: Any, engine: Engine, filters: int, then: FixedFormat | None) -> Any:
        """An engine's prepared window with this layer, and the clamp to `then` of a ReLU, behind it."""
        return engine.prepare_window_affine(
            window,
            *self.constants(filters),
            output=self.output,
            rounding=self.rounding,
            output_overflow=self.overflow,
            then=then,
        )

    def telling(self) -> AbstractContextManager[None]:
        """Errors of a window with this layer behind it are the window's."""
        return nullcontext()

    def run(self, engine: Engine, *codes: Array, threads: int | None = None, then: FixedFormat | None = None) -> Run:
        """As in `IntegerLayer`; `then` is the format of a ReLU that alone reads the output and runs with it."""
        found = engine.affine(
            codes[0],
            *self.constants(codes[0].shape[-1]),
            output=self.output,
            rounding=self.rounding,
            overflow=self.overflow,
            then=then,
            threads=threads,
        )
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        if (
            self.output.bits == 1
        ):  # the sign of a multiply-add is a comparison with a constant, and perhaps the other way round
            return Bill(OpCounts({("cmp", given.bits): output.words}), weights=Operand(self.multiplier.size, given.bits + 1))
        multiplies, adds, shifts = (bool(np.count_nonzero(one)) for one in (self.multiplier != 1, self.addend, self.shift))
        adds = adds or given.constant_due
        wide = given.bits + self.multiplier_bits if multiplies else given.bits
        width = max(given.bits, self.multiplier_bits)
        steps = (("mul", width, multiplies), ("add", wide, adds), ("shift", wide, shifts))
        channel_bits = self.multiplier_bits * multiplies + wide * adds + 6 * shifts
        return Bill(
            OpCounts([((op, bits), output.words) for op, bits, runs in steps if runs]),
            weights=Operand(self.multiplier.size, channel_bits),
        )
