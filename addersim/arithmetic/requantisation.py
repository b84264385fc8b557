"""Requantisation rules: how frameworks and hardware bring exact sums to codes of another scale, one record a rule.

With ``v`` a value plus its bias, a whole number of 32 bits, and ``r`` a real scale, each rule holds constants of ``r`` and
computes one of these formulas; the code is the result plus the output's zero point, clipped to the output's range:

``half-even``
    ``round(v * m / 2**s)``, ties to even.
``doubling``
    ``h = floor((x * m + 2**30) / 2**31)`` with ``x = v * 2**max(s, 0)`` in 32 bits (what leaves them is lost), then
    ``h / 2**max(-s, 0)`` rounded, ties away from zero.
``single``
    ``floor((v * m + 2**(s - 1)) / 2**s)``.
``double``
    as ``single``, with 2**30 more under the division where ``s > 31`` and ``v >= 0``, and 2**30 less where ``v < 0``.
``float``
    ``f = float32(v) * r`` in float32, rounded to a whole number, ties to even.
``quant-round``, ``quant-ceil``, ``quant-floor``
    ``float32(v) * step / scale + zero_point``, each step in float32, then rounded (ties to even), up or down: the zero point
    is already in.
``quantize-linear``
    ``float32(v) * step / scale``, each step in float32, rounded to a whole number, ties to even.
``divide-away``
    ``v / m`` rounded, ties away from zero.

Results beyond ``RESULT_LIMIT`` either way count as that. A scale may be negative, which no framework has: its multiplier is
then that of the positive scale with a minus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import FormatError
from addersim.inputs.text import did_you_mean

__all__ = ["FORMULAS", "RESULT_LIMIT", "RULES", "Constants", "Formula", "RequantisationRule", "requantisation_rule"]

Array = npt.NDArray[Any]
Formula = Literal[
    "half-even",
    "doubling",
    "single",
    "double",
    "float",
    "quant-round",
    "quant-ceil",
    "quant-floor",
    "quantize-linear",
    "divide-away",
]
FORMULAS: tuple[Formula, ...] = get_args(Formula)
QUANTS = ("quant-round", "quant-ceil", "quant-floor")
"""Formulas of float32 that add the zero point before they round."""
OF_REALS = (*QUANTS, "quantize-linear")
"""Formulas of what codes stand for in float32, divided by the output's scale."""
RESULT_LIMIT = 1 << 30
_WORD = 32
_FLOAT_MANTISSA = 24


@dataclass(frozen=True, slots=True, eq=False)
class Constants:
    """What a formula reads of each channel; what it has no use for is zero.

    Attributes
    ----------
    formula
        Which one.
    multiplier, shift
        ``m`` and ``s``, int32, shape ``(channels,)``.
    factor
        ``r``, or the real step of a value for formulas in `OF_REALS`, float32, shape ``(channels,)``.
    divisor
        The output's scale for formulas in `OF_REALS`, a float32.
    """

    formula: Formula
    multiplier: Array
    shift: Array
    factor: Array
    divisor: float = 1.0

    @classmethod
    def of_integers(cls, formula: Formula, multiplier: Array, shift: Array) -> Constants:
        """Constants of a formula of whole numbers."""
        m, s = (np.ascontiguousarray(one, np.int32) for one in (multiplier, shift))
        return cls(formula, m, s, np.zeros(m.shape, np.float32))

    @classmethod
    def of_floats(cls, formula: Formula, factor: Array, divisor: float = 1.0) -> Constants:
        """Constants of a formula of float32."""
        none = np.zeros(factor.shape, np.int32)
        return cls(formula, none, none, np.ascontiguousarray(factor, np.float32), divisor)


@dataclass(frozen=True, slots=True)
class RequantisationRule:
    """A named way of scaling and rounding.

    Attributes
    ----------
    name, title
        Short and in words.
    formula
        Of the module's, the one that scales sums.
    source
        Where it is written down.
    multiplier_bits
        Two's-complement width of the multiplier that hardware holds; of a float rule 32, that of the number.
    dense
        The rule of this framework's fully connected layers, where it is another.
    """

    name: str
    title: str
    formula: Formula
    source: str
    multiplier_bits: int = _WORD
    dense: str = ""

    @property
    def is_float(self) -> bool:
        """Whether the hardware multiplies numbers of float32."""
        return self.formula == "float" or self.formula in OF_REALS

    def encode(self, reals: npt.ArrayLike, output: FixedFormat) -> Array:
        """Codes of real values as the rule's framework makes them of images: in float32 where it computes in floats.

        ONNX Runtime's QuantizeLinear rounds the quotient, ties to even, and adds the zero point; QONNX adds it before.
        Images are rounded to nearest under every rule.
        """
        if not self.is_float:
            return output.encode(reals)
        steps = np.asarray(reals, np.float32) / np.float32(output.scale)
        whole = np.rint(steps) + np.float32(output.zero_point)
        if self.formula in QUANTS:
            whole = np.rint(steps + np.float32(output.zero_point))
        codes: Array = np.clip(whole, output.minimum, output.maximum).astype(output.dtype)
        return codes

    def constants(self, scales: npt.ArrayLike, output: FixedFormat) -> Constants:
        """What is held for real scales, output codes a step of a value, one a channel.

        Where a framework computes its scales in float32, `scales` are those numbers.
        """
        reals = np.atleast_1d(np.asarray(scales, np.float64))
        if reals.ndim != 1 or not reals.size or not np.isfinite(reals).all():
            raise FormatError(f"scales: {_odd(reals)}; expected one finite number a channel")
        if self.formula == "float":
            return Constants.of_floats("float", _float32(reals, "scales"))
        if self.formula in OF_REALS:
            return Constants.of_floats(self.formula, _float32(reals * output.scale, "steps"), float(np.float32(output.scale)))
        return self._integers(reals)

    def _integers(self, reals: Array) -> Constants:
        multiplier, exponent = _mantissas(reals, self.multiplier_bits, to_even=self.formula == "half-even")
        if self.formula == "doubling":
            tiny = exponent < -31
            _refuse(reals, exponent > 30, self.name, "below 2**30")
            return Constants.of_integers("doubling", np.where(tiny, 0, multiplier), np.where(tiny, 0, exponent))
        shift = self.multiplier_bits - 1 - exponent
        least = 0 if self.formula == "half-even" else 2
        _refuse(reals, shift < least, self.name, f"below 2**{self.multiplier_bits - 1 - least}")
        small = np.clip(shift - 62, 0, 31)
        if self.formula == "half-even":
            multiplier = np.where(small > 0, np.rint(np.ldexp(reals, 62)), multiplier)
        else:
            multiplier = np.sign(multiplier) * (np.abs(multiplier) >> small)
        return Constants.of_integers(self.formula, multiplier, np.minimum(shift, 62))

    def bill(self, words: int, bits: int, output_bits: int, *, bias: bool = False, zero_point: bool = False) -> OpCounts:
        """What scaling a number of words of a width costs; rounding belongs to a shift, as everywhere.

        A multiplication of float32, which no energy table prices as an operation of its own, is billed as the integer
        circuits that it is made of: a shift of 32 bits that normalises the whole number, one multiplication of 24-bit
        mantissas, an addition of 8-bit exponents, and a shift of 32 bits that makes a whole number of the product. Formulas in
        `OF_REALS` divide by the output's scale as well, a second product by its reciprocal.
        """
        counts: list[tuple[tuple[str, int], int]] = []
        if bias:
            counts.append((("add", bits), words))
        counts += [(step, words) for step in self._steps(bits)]
        if zero_point:
            counts.append((("add", output_bits + 1), words))
        return OpCounts(counts)

    def _steps(self, bits: int) -> list[tuple[str, int]]:
        product = [("mul", _FLOAT_MANTISSA), ("add", 8)]
        match self.formula:
            case "half-even":
                return [("mul", max(bits, self.multiplier_bits)), ("shift", bits + self.multiplier_bits)]
            case "doubling":  # the high word is rounded by an addition, the shift by itself
                return [("mul", _WORD), ("add", 2 * _WORD), ("shift", _WORD)]
            case "single":
                return [("mul", _WORD), ("shift", 2 * _WORD)]
            case "double":
                return [("mul", _WORD), ("add", 2 * _WORD), ("shift", 2 * _WORD)]
            case "float":
                return [("shift", _WORD), *product, ("shift", _WORD)]
            case _:
                return [("shift", _WORD), *product, *product, ("shift", _WORD)]

    @property
    def channel_bits(self) -> int:
        """Bits of the constants of one channel: multiplier and shift, or a float."""
        return self.multiplier_bits if self.is_float else self.multiplier_bits + 6


def _mantissas(reals: Array, bits: int, *, to_even: bool) -> tuple[Array, Array]:
    """int64 multipliers of a width and exponents with ``multiplier / 2**(bits - 1) * 2**exponent`` next to the reals.

    Ties go away from zero, as C rounds, or to even.
    """
    mantissa, exponent = np.frexp(reals)
    wide = np.ldexp(mantissa, bits - 1)
    multiplier = (np.rint(wide) if to_even else np.trunc(wide + np.copysign(0.5, wide))).astype(np.int64)
    full = np.abs(multiplier) >> (bits - 1)  # the mantissa was rounded up to one
    return np.where(full, multiplier // 2, multiplier), exponent.astype(np.int64) + full


def _float32(reals: Array, what: str) -> Array:
    with np.errstate(over="ignore"):
        found = reals.astype(np.float32)
    if not np.isfinite(found).all():
        raise FormatError(f"{what}: {np.abs(reals).max():.4g} is beyond the numbers of float32")
    return found


def _odd(reals: Array) -> str:
    odd = reals[~np.isfinite(reals)]
    return f"found {odd[0]}" if odd.size else f"found shape {reals.shape}"


def _refuse(reals: Array, beyond: Array, rule: str, allowed: str) -> None:
    if beyond.any():
        raise FormatError(f"scales: {np.abs(reals[beyond]).max():.4g}; rule {rule} holds scales {allowed}")


RULES: Mapping[str, RequantisationRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            RequantisationRule(
                "addersim",
                "integer multiplier and shift, ties to even",
                "half-even",
                "addersim.kernels.affine; the multiplier is the nearest of its width",
                16,
            ),
            RequantisationRule(
                "tflite",
                "TensorFlow Lite's reference kernels: doubling high multiply, then a rounding shift",
                "doubling",
                "TensorFlow Lite, kernels/internal/common.h: MultiplyByQuantizedMultiplier, built without"
                " TFLITE_SINGLE_ROUNDING, of gemmlowp, fixedpoint/fixedpoint.h: SaturatingRoundingDoublingHighMul and"
                " RoundingDivideByPOT; constants: kernels/internal/quantization_util.cc: QuantizeMultiplier. Fully connected"
                " layers of LiteRT 2.3.0 are rounded once: 0 of 100,320 codes of the MLPerf Tiny autoencoder differ",
                dense="tosa",
            ),
            RequantisationRule(
                "tosa",
                "TOSA with single rounding; TensorFlow Lite's kernels when built with TFLITE_SINGLE_ROUNDING",
                "single",
                "TOSA specification 1.0: apply_scale_32 and RESCALE with rounding_mode SINGLE_ROUND; constants: MLIR,"
                " Dialect/Tosa/Utils/QuantUtils.cpp: computeMultiplierAndShift",
            ),
            RequantisationRule(
                "tosa-double",
                "TOSA with double rounding",
                "double",
                "TOSA specification 1.0: apply_scale_32 and RESCALE with rounding_mode DOUBLE_ROUND; constants as of tosa",
            ),
            RequantisationRule(
                "ort",
                "ONNX Runtime: a float32 scale, ties to even",
                "float",
                "ONNX Runtime, core/mlas/lib/quantize.cpp: MlasRequantizeOutput",
            ),
            RequantisationRule(
                "onnx",
                "ONNX: float32 values through a QuantizeLinear node, ties to even, the zero point added after",
                "quantize-linear",
                "ONNX 1.23, operator QuantizeLinear: y = saturate((x / y_scale) + y_zero_point), the quotient rounded to even;"
                " what ONNX Runtime computes where it fuses no quantiser with its operator",
            ),
            RequantisationRule(
                "qonnx",
                "QONNX: float32 values through a Quant node that rounds to nearest, ties to even",
                "quant-round",
                "QONNX 1.0, custom_op/general/quant.py: quant with rounding_mode ROUND",
            ),
            RequantisationRule(
                "qonnx-ceil",
                "QONNX: float32 values through a Quant node that rounds up",
                "quant-ceil",
                "QONNX 1.0, custom_op/general/quant.py: quant with rounding_mode CEIL",
            ),
            RequantisationRule(
                "qonnx-floor",
                "QONNX: float32 values through a Quant node that rounds down",
                "quant-floor",
                "QONNX 1.0, custom_op/general/quant.py: quant with rounding_mode FLOOR",
            ),
        )
    }
)


def requantisation_rule(name: str) -> RequantisationRule:
    """The rule of a name."""
    if name not in RULES:
        raise FormatError(f"rounding: {name!r} is not one of {', '.join(RULES)}{did_you_mean(str(name), RULES)}")
    return RULES[name]
