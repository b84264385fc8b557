"""How a framework makes codes of reals: formats, rounding, and the rule of sums that gives the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError

__all__ = ["ROUNDINGS", "Quantiser", "check_scale"]

Array = np.ndarray[Any, Any]


def _away(values: Array) -> Array:
    return np.asarray(np.sign(values) * np.ceil(np.abs(values)))


def _half_away(values: Array) -> Array:
    return np.asarray(np.sign(values) * np.floor(np.abs(values) + np.float32(0.5)))


def _half_to_zero(values: Array) -> Array:
    return np.asarray(np.sign(values) * np.ceil(np.abs(values) - np.float32(0.5)))


ROUNDINGS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": _away,
        "DOWN": np.fix,
        "ROUND_TO_ZERO": np.fix,
        "HALF_UP": _half_away,
        "HALF_DOWN": _half_to_zero,
    }
)
"""Rounding modes of QONNX 1.0 (custom_op/general/intquant.py: resolve_rounding_mode)."""
_RULES = MappingProxyType(
    {"onnx": "ort", "torch": "ort", "ROUND": "qonnx", "HALF_EVEN": "qonnx", "CEIL": "qonnx-ceil", "FLOOR": "qonnx-floor"}
)


@dataclass(frozen=True, slots=True)
class Quantiser:
    """What makes codes of reals.

    Attributes
    ----------
    form
        Of the codes.
    low, high
        Ends of the codes, where they are narrower than the format's.
    mode
        A name in `ROUNDINGS`; or ``onnx``, whose QuantizeLinear adds the zero point after it has rounded the quotient; or
        ``torch``, which does so with the product by the scale's reciprocal.
    signs
        Whether codes are signs: -1 for reals below zero, else +1.
    wanted
        Another rule than that of the mode.
    """

    form: FixedFormat
    low: int
    high: int
    mode: str = "onnx"
    signs: bool = False
    wanted: str = ""

    @property
    def rule(self) -> str:
        """The rule that scales sums in this way, empty where there is none."""
        return self.wanted or _RULES.get(self.mode, "")

    @property
    def to_nearest(self) -> bool:
        """Whether reals become the nearest code, of two the even one."""
        return ROUNDINGS.get(self.mode, np.rint) is np.rint

    def codes(self, reals: Array) -> Array:
        """Codes of reals in float32, int32; of signs -1 and +1."""
        if self.signs:
            return np.where(reals >= 0, 1, -1).astype(np.int32)
        scale, zero = np.float32(self.form.scale), np.float32(self.form.zero_point)
        if self.mode in ROUNDINGS:
            found = ROUNDINGS[self.mode](np.clip(reals / scale + zero, self.low, self.high))
        else:
            steps = reals / scale if self.mode == "onnx" else reals * np.float32(1.0 / self.form.scale)
            found = np.rint(steps) + zero
        return np.asarray(np.clip(np.nan_to_num(found), self.low, self.high).astype(np.int32))

    def ends(self, low: float | None = None, high: float | None = None) -> dict[str, int | None]:
        """Codes at which values end, those of fused functions of reals included; None where the format does.

        To bound reals and then to round them is the same as the other way round, for rounding never falls.
        """
        least = self.low if low is None or not math.isfinite(low) else max(self.low, self.code(low))
        most = self.high if high is None or not math.isfinite(high) else min(self.high, self.code(high))
        return {"low": least if least > self.form.minimum else None, "high": most if most < self.form.maximum else None}

    def code(self, real: float) -> int:
        """The code of one real."""
        return int(self.codes(np.array([real], np.float32))[0])


def check_scale(scale: Array, name: str) -> None:
    """Refuse scales that are no scales, by the tensor's name."""
    if scale.dtype.kind != "f" or not scale.size:
        raise LoweringError(f"scale {name!r} is {scale.dtype} of shape {scale.shape}; expected floats")
    odd = scale[~(np.isfinite(scale) & (scale > 0))]
    if odd.size:
        raise LoweringError(f"scale {name!r} holds {odd.reshape(-1)[0]:g}; expected positive finite numbers")
