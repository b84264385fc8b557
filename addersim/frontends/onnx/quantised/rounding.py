"""How a file makes codes of reals: its formats, its rounding, and the rule of sums that gives the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.onnx.tensors import Array

__all__ = ["ROUNDINGS", "Quantiser", "check_scale"]


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
_RULES = MappingProxyType({"ROUND": "qonnx", "HALF_EVEN": "qonnx", "CEIL": "qonnx-ceil", "FLOOR": "qonnx-floor"})


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
        A name in `ROUNDINGS`, or empty for ONNX's QuantizeLinear, which adds the zero point after it has rounded.
    signs
        Whether codes are signs: -1 for reals below zero, else +1.
    """

    form: FixedFormat
    low: int
    high: int
    mode: str = ""
    signs: bool = False

    @property
    def rule(self) -> str:
        """The rule that scales sums in this way, empty where there is none."""
        return _RULES.get(self.mode, "") if self.mode else "ort"

    def codes(self, reals: Array) -> Array:
        """Codes of reals in float32, int32; of signs -1 and +1."""
        if self.signs:
            return np.where(reals >= 0, 1, -1).astype(np.int32)
        scale, zero = np.float32(self.form.scale), np.float32(self.form.zero_point)
        quotients = reals / scale
        if self.mode:
            found = ROUNDINGS[self.mode](np.clip(quotients + zero, self.low, self.high))
        else:
            found = np.rint(quotients) + zero
        return np.asarray(np.clip(np.nan_to_num(found), self.low, self.high).astype(np.int32))

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
