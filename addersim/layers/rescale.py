"""Rescaling by a named requantisation rule: sums or codes to codes of another scale, as a framework has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RequantisationRule, requantisation_rule
from addersim.errors import FormatError, NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value, named, observe
from addersim.trace import Operand

__all__ = ["IntegerRescale", "checked_operands", "checked_rule", "rule_after"]

BIAS_BITS = 32


def checked_operands(name: str, sources: Sequence[str], given: Sequence[Value], forms: Sequence[FixedFormat]) -> None:
    """Refuse values of other formats than a layer was made for; `sources` are the layers that give them."""
    for source, value, expected in zip(sources, given, forms, strict=True):
        if value != Value.of(value.shape, expected):
            raise NetworkError(f"layer {name}: expects {expected} of layer {source}, which gives {value}")


def checked_rule(name: str, rule: str, output: FixedFormat, low: int | None, high: int | None) -> RequantisationRule:
    """The rule of a layer, whose fused activation ends at codes of its output."""
    try:
        found = requantisation_rule(rule)
    except FormatError as error:
        raise NetworkError(f"layer {name}: {error}") from None
    ends = output.minimum if low is None else low, output.maximum if high is None else high
    if not output.minimum <= ends[0] <= ends[1] <= output.maximum:
        allowed = f"{output.minimum}..{output.maximum}"
        raise NetworkError(f"layer {name}: activation {ends[0]}..{ends[1]} does not lie in {allowed}, the lower first")
    return found


def rule_after(rule: str, given: Value) -> str:
    """The rule by which a framework narrows these sums, for that of its dense layers may be another."""
    dense = given.is_sum and len(given.shape) == 1
    return requantisation_rule(rule).dense or rule if dense else rule


class IntegerRescale(IntegerLayer, frozen=True, tag="rescale"):
    """``rule((x + bias) * scale) + zero point`` of a channel, clipped to `low`..`high`.

    `x` is a sum, or a code as it is: minus its zero point is then part of the bias.

    Attributes
    ----------
    bias
        int64 of 32 bits, shape ``(channels,)`` or ``(1,)``.
    scale
        float64, shape ``(channels,)`` or ``(1,)``: output codes a step of `x`.
    rule
        A name in `addersim.arithmetic.requantisation.RULES`.
    low, high
        Codes at which a fused activation ends; None: the format's.
    """

    bias: np.ndarray
    scale: np.ndarray
    rule: str
    output: FixedFormat
    low: int | None = None
    high: int | None = None

    READS_SUMS = True
    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        rule = checked_rule(self.name, self.rule, self.output, self.low, self.high)
        for field, dtype in (("bias", np.int64), ("scale", np.float64)):
            values = getattr(self, field)
            if values.dtype != dtype or values.ndim != 1 or not values.size:
                found = f"{values.dtype} {values.shape}"
                raise NetworkError(f"{where}: {field} is {found}; expected {np.dtype(dtype)}, one a channel or one for all")
        if len({self.bias.size, self.scale.size} - {1}) > 1:
            raise NetworkError(
                f"{where}: {self.bias.size} biases and {self.scale.size} scales; expected as many of both, or one"
            )
        end = 1 << (BIAS_BITS - 1)
        if self.bias.min() < -end or self.bias.max() >= end:
            raise NetworkError(f"{where}: biases {self.bias.min()}..{self.bias.max()} leave {BIAS_BITS} bits")
        try:
            rule.constants(self.scale, self.output)
        except FormatError as error:
            raise NetworkError(f"{where}: {error}") from None

    @property
    def _channels(self) -> int:
        return max(self.bias.size, self.scale.size)

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        return msgspec.structs.replace(self, rule=rule_after(rule, inputs[0]))

    def value(self, *inputs: Value) -> Value:
        shape = inputs[0].shape
        if self._channels not in (1, shape[0]):
            raise NetworkError(f"layer {self.name}: {self._channels} channels, the input {shape} has {shape[0]}")
        return Value.of(shape, self.output)

    def behind(self, window: Any, engine: Engine, filters: int, then: FixedFormat | None) -> Any:
        """An engine's prepared window with this layer behind it; no ReLU runs with it."""
        bias, scale = (np.broadcast_to(one, filters) for one in (self.bias, self.scale))
        how = {"output": self.output, "low": self.low, "high": self.high}
        with self.telling():
            return engine.prepare_window_rescale(window, scale, bias, self.rule, **how)

    def telling(self) -> AbstractContextManager[None]:
        """Errors of a window with this layer behind it name the layer."""
        return named(self.name)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        (x,) = codes
        bias, scale = (np.broadcast_to(one, x.shape[-1:]) for one in (self.bias, self.scale))
        how = {"output": self.output, "low": self.low, "high": self.high}
        with named(self.name):
            found = engine.requantize(x, scale, bias, self.rule, **how, threads=threads)
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def details(self) -> str:
        ends = [f"from {self.low}"] * (self.low is not None) + [f"up to {self.high}"] * (self.high is not None)
        return " ".join([self.rule, *ends])

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        rule, added = requantisation_rule(self.rule), bool(self.bias.any())
        steps = rule.bill(
            output.words,
            given.bits,
            self.output.bits,
            bias=added or given.constant_due,
            zero_point=bool(self.output.zero_point),
        )
        return Bill(steps, weights=Operand(self._channels, rule.channel_bits + BIAS_BITS * added))
