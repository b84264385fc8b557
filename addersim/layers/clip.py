"""Bounds: values below one number become it, and those above another."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value

__all__ = ["Clip", "IntegerClip"]


class Clip(Layer, frozen=True, tag="clip"):
    """``min(max(x, low), high)``, where None is no bound."""

    low: float | None = None
    high: float | None = None

    KEEPS_SCALE = True

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [end for end in (self.low, self.high) if end is not None]
        if not given or not all(math.isfinite(end) for end in given) or given != sorted(given):
            raise NetworkError(
                f"layer {self.name}: bounds {self.low} and {self.high}; expected one or two finite numbers, the lower first"
            )

    def is_never_negative(self, *inputs: bool) -> bool:
        return self.cuts_negatives() or (all(inputs) and (self.high is None or self.high >= 0))

    def cuts_negatives(self) -> bool:
        return self.low is not None and self.low >= 0

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def run(self, *values: Array, threads: int | None = None) -> Array:
        found = values[0]
        if self.low is not None:
            found = np.maximum(found, float(self.low))
        return found if self.high is None else np.minimum(found, float(self.high))

    def integer(self, plan: Plan) -> IntegerLayer:
        output = plan.formats[self.name]
        low, high = (self._code(end, output, plan.calibrated) for end in (self.low, self.high))
        return IntegerClip(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=output,
            low=None if low == output.minimum else low,
            high=None if high == output.maximum else high,
        )

    def _code(self, end: float | None, output: FixedFormat, calibrated: bool) -> int | None:
        """The nearest code to a bound; without calibration one that is no end of the format, so that it is billed."""
        if end is None:
            return None
        if not calibrated:
            return output.minimum + 1
        return round(min(max(end / output.scale + output.zero_point, output.minimum), output.maximum))

    def details(self) -> str:
        return " ".join(f"{word} {end:g}" for word, end in (("from", self.low), ("up to", self.high)) if end is not None)


class IntegerClip(IntegerLayer, frozen=True, tag="clip"):
    """Codes into a format of the same scale and between two codes of it; None is the format's own end."""

    output: FixedFormat
    low: int | None = None
    high: int | None = None

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self._ends
        if not self.output.minimum <= low <= high <= self.output.maximum:
            allowed = f"{self.output.minimum}..{self.output.maximum}"
            raise NetworkError(f"layer {self.name}: bounds {low}..{high} do not lie in {allowed}, the lower first")

    @property
    def _ends(self) -> tuple[int, int]:
        """Smallest and largest code that come out."""
        output = self.output
        return output.minimum if self.low is None else self.low, output.maximum if self.high is None else self.high

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if not math.isclose(given.scale, self.output.scale) or given.zero_point != self.output.zero_point:
            raise NetworkError(
                f"layer {self.name}: input {given} and output {self.output} must have one scale and one zero point"
            )
        return Value.of(inputs[0].shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        values = engine.clamp(codes[0], output=self.output, threads=threads).values
        return Run(np.clip(values, *(values.dtype.type(end) for end in self._ends)))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        given = FixedFormat(inputs[0].bits, inputs[0].signed)
        low, high = self._ends
        steps = ((given.minimum < low) + (given.maximum > high)) * output.words
        return Bill(OpCounts({("cmp", given.bits): steps, ("mux", given.bits): steps}))
