"""What a tensor of a quantised file is while it is read: constants, codes, and real values that wait for their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.tensors import Array

__all__ = ["Coded", "Codes", "Function", "Images", "Lost", "Mean", "Product", "Reals", "Sum", "Sums", "Tail", "Waiting"]

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
        float32 and int32, of shapes that broadcast against the codes.
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
        found: Array = (self.codes.astype(np.int32) - self.zero_point).astype(np.float32) * self.scale
        return found

    def each(self, axis: int) -> tuple[Array, Array]:
        """Scale and zero point of each place along an axis, shape ``(places,)``; along no other may they differ."""
        return tuple(self._along(one, axis) for one in (self.scale, self.zero_point))  # type: ignore[return-value]

    def _along(self, values: Array, axis: int) -> Array:
        wide = values.reshape((1,) * (self.codes.ndim - values.ndim) + values.shape)
        if any(size != 1 for place, size in enumerate(wide.shape) if place != axis):
            raise LoweringError(
                f"scales of shape {values.shape} for weights of shape {self.codes.shape}; one a filter is read"
            )
        return np.broadcast_to(wide.reshape(-1), self.codes.shape[axis])


@dataclass(frozen=True, slots=True)
class Images:
    """The file's input, and what it does to the reals before they become codes."""

    flow: Flow
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes that depend on the images."""

    flow: Flow
    form: FixedFormat


@dataclass(frozen=True, slots=True)
class Reals:
    """What codes stand for, or a function of it.

    Attributes
    ----------
    flow, form
        Codes.
    table
        Real value of every code in float32, ``(codes, 1)`` or ``(codes, channels)``; None where it is the format's.
    signs
        Whether the codes are signs, -1 and +1.
    """

    flow: Flow
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """Real values whose codes are not known yet: what a fused function leaves of them.

    Attributes
    ----------
    low, high
        Real bounds.
    steps
        Rearrangements are those of `flow`, which stands for the layer in the making.
    """

    low: float | None = None
    high: float | None = None

    def clipped(self, low: float | None, high: float | None) -> Any:
        """The same between closer bounds."""
        lows = [one for one in (self.low, low) if one is not None]
        highs = [one for one in (self.high, high) if one is not None]
        return replace(self, low=max(lows, default=None), high=min(highs, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums(Waiting):
    """Sums of a window layer, times a real step, plus whole numbers of steps, and functions of that.

    Attributes
    ----------
    flow
        Of the sums.
    step
        float32, one a channel of the layer, or one for all.
    bias
        int64, likewise.
    ends
        Least and largest sum that any codes give, int64, one a channel or one for all.
    functions
        What happens to the reals before the bounds.
    """

    flow: Flow
    step: Array
    bias: Array
    ends: tuple[Array, Array]
    functions: tuple[Function, ...] = ()

    def real(self, sums: Array) -> Array:
        """Real values in float32 of sums whose last axis is the channels'."""
        found: Array = (sums + self.bias).astype(np.float32) * self.step
        for function in self.functions:
            found = function(found).astype(np.float32, copy=False)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Waiting):
    """Two values added."""

    first: Reals
    second: Reals
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Waiting):
    """Two values multiplied."""

    first: Reals
    second: Reals
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Waiting):
    """Means over windows, or whole images."""

    source: Reals
    windows: dict[str, Any]
    whole: bool
    flow: Flow


@dataclass(frozen=True, slots=True)
class Tail:
    """Scores behind which the file goes on with what keeps their order, such as a softmax: it is left out."""

    value: Reals | Sums
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """What a node that cannot be read would give."""
