"""What a tensor of a quantised network is while it is read: constants, codes, and real values that wait for their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow

__all__ = [
    "Coded",
    "Codes",
    "Function",
    "Images",
    "Joined",
    "Lost",
    "Mean",
    "Product",
    "Reals",
    "Sum",
    "Sums",
    "Tail",
    "Value",
    "Waiting",
    "sum_ends",
]

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]
"""Of reals in float32 whose last axis is the channels' (or has size 1), point by point; it never falls or never rises."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A constant that is held as codes: ``(codes - zero_point) * scale``.

    Attributes
    ----------
    codes
        int8 or uint8.
    scale, zero_point
        Reals and int32, of shapes that broadcast against the codes.
    form
        Width and sign of the codes.
    signs
        Whether there are only two codes, -1 and +1.
    """

    codes: Array
    scale: Array
    zero_point: Array
    form: FixedFormat
    signs: bool = False

    @property
    def reals(self) -> Array:
        """What the codes stand for, in float32."""
        return np.asarray((self.codes.astype(np.int32) - self.zero_point).astype(np.float32) * self.scale.astype(np.float32))

    def viewed(self, places: Any) -> Coded:
        """The same with more axes."""
        scale, zero = (one[places] if one.ndim == self.codes.ndim else one for one in (self.scale, self.zero_point))
        return replace(self, codes=self.codes[places], scale=scale, zero_point=zero)

    def each(self, axis: int) -> tuple[Array, Array]:
        """Scale and zero point of each place along an axis, shape ``(places,)``; along no other may they differ."""
        return tuple(self._along(one, axis) for one in (self.scale, self.zero_point))  # type: ignore[return-value]

    def _along(self, values: Array, axis: int) -> Array:
        wide = values.reshape((1,) * (self.codes.ndim - values.ndim) + values.shape)
        others = [place for place, size in enumerate(wide.shape) if size != 1 and place != axis]
        if others:
            raise LoweringError(
                f"has scales along axis {others[0]} of its weights {self.codes.shape}; read are those along axis {axis}, "
                "one a filter"
            )
        return np.broadcast_to(wide.reshape(-1), self.codes.shape[axis])


@dataclass(frozen=True, slots=True)
class Value:
    """What depends on the images; `flow` says from which layer, and which rearrangements wait."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Lost:
    """What a node that cannot be read would give."""


@dataclass(frozen=True, slots=True)
class Images(Value):
    """The network's input, and what is done to the reals before they become codes."""

    functions: tuple[Function, ...] = ()


@dataclass(frozen=True, slots=True)
class Codes(Value):
    """Codes that depend on the images."""

    form: FixedFormat


@dataclass(frozen=True, slots=True)
class Reals(Value):
    """What codes stand for, or a function of it.

    Attributes
    ----------
    form
        Of the codes.
    table
        Real value of every code in float32, ``(codes, 1)`` or ``(codes, channels)``; None where it is the format's.
    signs
        Whether the codes are signs, -1 and +1.
    """

    form: FixedFormat
    table: Array | None = None
    signs: bool = False

    @property
    def held(self) -> Array:
        """Real value of every code, ``(codes, columns)``."""
        if self.table is not None:
            return self.table
        codes = np.arange(self.form.minimum, self.form.maximum + 1, dtype=np.int32)[:, None]
        found: Array = (codes - self.form.zero_point).astype(np.float32) * np.float32(self.form.scale)
        return found

    def after(self, function: Function) -> Self:
        """The same after a function of each number, refused where that is none."""
        with np.errstate(all="ignore"):
            table = function(self.held).astype(np.float32, copy=False)
        if np.isnan(table).any():
            raise LoweringError(f"is no number of some codes in {self.form}")
        return replace(self, table=table)


@dataclass(frozen=True, slots=True)
class Waiting(Value):
    """Real values whose codes are not known yet: what a fused function leaves of them.

    `flow` has the rearrangements that wait behind the layer in the making, which has no name yet.

    Attributes
    ----------
    low, high
        Real bounds.
    of_floats
        Whether the framework fuses it with no quantiser, and computes it in floats.
    """

    low: float | None = None
    high: float | None = None
    of_floats: bool = False

    def clipped(self, low: float | None, high: float | None) -> Self:
        """The same between closer bounds."""
        if self.flow.fills() and not (0.0 if low is None else low) <= 0.0 <= (0.0 if high is None else high):
            raise LoweringError("bounds a border of zeros that lies around sums; make codes of them first")
        lows = [one for one in (self.low, low) if one is not None]
        highs = [one for one in (self.high, high) if one is not None]
        return replace(self, low=max(lows, default=None), high=min(highs, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums(Waiting):
    """Sums of a window layer, times a real step, plus whole numbers of steps, and functions of that.

    Attributes
    ----------
    step
        float32 or float64 as the framework has it, one a channel of the layer, or one for all.
    bias
        int64, likewise.
    ends
        Least and largest sum that any codes give, int64, one a channel or one for all.
    functions
        What happens to the reals before the bounds.
    addend
        Reals, float64, which are added to the product with the step; None where the bias is all.
    """

    step: Array
    bias: Array
    ends: tuple[Array, Array]
    functions: tuple[Function, ...] = ()
    addend: Array | None = None

    @property
    def whole(self) -> bool:
        """Whether these are the sums themselves and whole numbers added to them."""
        ends = (self.low, self.high) == (None, None)
        return ends and not self.functions and self.addend is None and bool((self.step == 1).all())

    def real(self, sums: Array) -> Array:
        """Real values in float32 of sums whose last axis is the channels'."""
        found: Array = (sums + self.bias).astype(np.float32) * self.step
        for function in self.functions:
            found = function(found).astype(np.float32, copy=False)
        return found


@dataclass(frozen=True, slots=True)
class Tail:
    """Scores behind which the network goes on with what keeps their order, such as a softmax: it is left out."""

    value: Reals | Sums
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Waiting):
    """Two values added, or the second taken off.

    Attributes
    ----------
    subtract
        Whether the second is taken off.
    """

    first: Reals
    second: Reals
    subtract: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Waiting):
    """Two values multiplied."""

    first: Reals
    second: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Waiting):
    """Means over windows, or whole images.

    Attributes
    ----------
    windows
        Fields of the layer that takes them, its `operator` among them.
    """

    source: Reals
    windows: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Waiting):
    """Values side by side along an axis, each of which becomes codes of the format that the whole gets."""

    parts: tuple[Reals, ...]
    axis: int


def sum_ends(weights: Array, low: int, high: int) -> tuple[Array, Array]:
    """Least and largest sum of each filter, ``(filters, taps)``, over inputs between two values."""
    up, down = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return up * low + down * high, up * high + down * low
