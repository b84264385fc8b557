"""What a node of a quantised graph gives: constants of codes, codes, and real values that wait for their codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError, LoweringError
from addersim.frontends.flow import Flow

__all__ = ["Coded", "Codes", "Images", "Joined", "Lost", "Mean", "Quantiser", "Reals", "Sum", "Sums", "Value", "Waiting"]

Array = np.ndarray[Any, Any]
TYPES = {"int8": (8, True), "uint8": (8, False), "int16": (16, True), "uint16": (16, False)}
"""Width and sign of the types of codes that depend on images."""


@dataclass(frozen=True, slots=True)
class Quantiser:
    """What makes codes of reals: ``round(x * (1 / scale)) + zero point`` in float32, ties to even, between two codes."""

    form: FixedFormat
    low: int
    high: int

    @classmethod
    def of(cls, scale: float, zero_point: int, low: int, high: int, kind: str) -> Quantiser:
        """From the arguments of an operator."""
        if kind not in TYPES:
            raise LoweringError(f"codes of type {kind}; read are {', '.join(TYPES)}")
        bits, signed = TYPES[kind]
        try:
            form = FixedFormat(bits, signed, scale, zero_point)
        except FormatError as error:
            raise LoweringError(str(error)) from None
        if not form.minimum <= low <= high <= form.maximum:
            raise LoweringError(f"codes of {low}..{high} of type {kind}")
        return cls(form, low, high)

    def codes(self, reals: Array) -> Array:
        """Codes of reals in float32, int32."""
        steps = np.rint(reals.astype(np.float32) * np.float32(1.0 / self.form.scale))
        return np.asarray(np.clip(steps + self.form.zero_point, self.low, self.high).astype(np.int32))

    def ends(self, bounds: tuple[float | None, float | None] = (None, None)) -> dict[str, int | None]:
        """Codes at which values end, those of fused functions included; None where the format does.

        To bound reals and then to round them is the same as the other way round, for rounding never falls.
        """
        low, high = (
            end if real is None else int(self.codes(np.array(real))) for real, end in zip(bounds, self._ends, strict=True)
        )
        return {
            "low": low if low > self.form.minimum else None,
            "high": high if high < self.form.maximum else None,
        }

    @property
    def _ends(self) -> tuple[int, int]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Coded:
    """A constant that is held as codes, with a scale and zero point, or one of each along an axis."""

    codes: Array
    scales: Array
    zero_points: Array
    axis: int | None = None

    def each(self, axis: int) -> tuple[Array, Array]:
        """float64 scale and int32 zero point of each place along an axis; along no other may they differ."""
        if self.axis not in (None, axis) and self.scales.size > 1:
            raise LoweringError(
                f"has scales along axis {self.axis} of its weights; read are those along axis {axis}, one a filter"
            )
        if self.scales.size not in (1, self.codes.shape[axis]):
            raise LoweringError(f"has {self.scales.size} scales for {self.codes.shape[axis]} filters")
        if not (np.isfinite(self.scales).all() and (self.scales > 0).all()):
            raise LoweringError("has weights with scales that are not positive finite numbers")
        size = self.codes.shape[axis]
        return (
            np.broadcast_to(self.scales.astype(np.float64), size),
            np.broadcast_to(self.zero_points.astype(np.int32), size),
        )


@dataclass(frozen=True, slots=True)
class Value:
    """What depends on the images; `flow` says from which layer, and which rearrangements wait."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Lost(Value):
    """What a node that cannot be read would give."""


@dataclass(frozen=True, slots=True)
class Images(Value):
    """The images, as reals."""


@dataclass(frozen=True, slots=True)
class Codes(Value):
    """Codes of a quantiser."""

    how: Quantiser


@dataclass(frozen=True, slots=True)
class Reals(Value):
    """What codes stand for, or a function of it: a real of every code of the format, float32."""

    form: FixedFormat
    held: Array

    @classmethod
    def of(cls, flow: Flow, form: FixedFormat) -> Reals:
        """What codes of a format stand for."""
        steps = np.arange(form.minimum, form.maximum + 1) - form.zero_point
        return cls(flow, form, steps.astype(np.float32) * np.float32(form.scale))

    @property
    def plain(self) -> bool:
        """Whether these are what the format says."""
        return bool(np.array_equal(self.held, Reals.of(self.flow, self.form).held))


@dataclass(frozen=True, slots=True)
class Waiting(Value):
    """Reals that become codes only at their quantiser, between real bounds of fused functions."""

    bounds: tuple[float | None, float | None] = (None, None)

    def clipped(self, low: float | None, high: float | None) -> Any:
        """The same between closer bounds."""
        lows, highs = ([one for one in ends if one is not None] for ends in zip(self.bounds, (low, high), strict=True))
        return replace(self, bounds=(max(lows, default=None), min(highs, default=None)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums(Waiting):
    """Sums of a window, each channel times a real step; its bias in whole steps, or as reals."""

    step: Array
    whole: Array | None
    bias: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Waiting):
    """Two values added."""

    first: Reals
    second: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Waiting):
    """Means over windows, or over whole images."""

    source: Reals
    windows: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Waiting):
    """Values side by side along an axis."""

    parts: tuple[Reals, ...]
    axis: int
