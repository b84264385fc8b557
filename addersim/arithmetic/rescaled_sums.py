"""What a requantisation rule holds to add codes of different scales, and to take means of codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import OF_REALS, RULES, Constants, Formula, RequantisationRule
from addersim.errors import FormatError

__all__ = [
    "MEANS",
    "AdditionConstants",
    "Mean",
    "addition_bill",
    "addition_constants",
    "dequantised",
    "keeps_zero_point",
    "mean_bill",
    "mean_constants",
    "mean_format",
    "sums_columns",
    "takes_reals",
    "unscaled",
]

Array = npt.NDArray[Any]
Mean = Literal["pool", "reduction"]
MEANS: tuple[Mean, ...] = get_args(Mean)
_LEFT_SHIFT = 20
"""Places that TensorFlow Lite moves codes of 8 bits left before it adds them: kernels/add.cc, Prepare; of 16 bits 15."""
_LEFT_SHIFT_WIDE = 15


@dataclass(frozen=True, slots=True, eq=False)
class AdditionConstants:
    """What adding two codes of different scales takes.

    Attributes
    ----------
    formula
        By which operands and sum are scaled.
    left
        Places that the operands are moved left before.
    multiplier, shift, factor
        Of the first operand, the second and the sum: int32 and float32, shape ``(3,)``. For the formula ``half-even`` one
        shift is that of both products; for ``float`` the last factor is the constant that is added; for those in `OF_REALS`
        it is the output's scale.
    """

    formula: Formula
    left: int
    multiplier: Array
    shift: Array
    factor: Array


def addition_constants(
    rule: RequantisationRule, first: FixedFormat, second: FixedFormat, output: FixedFormat
) -> AdditionConstants:
    """Constants of a rule for ``first + second`` into a format.

    ``tflite`` (TensorFlow Lite, kernels/add.cc and kernels/internal/reference/add.h): operands moved ``left`` places, scaled
    to half of the larger scale, added, scaled to the output. ``tosa`` (legalisation of quantised additions, as in StableHLO's
    test legalize_quant_ops_to_tosa_rescale.mlir): the same, the places being part of the operands' scale. ``ort`` (ONNX
    Runtime, core/mlas/lib/intrinsics/avx2/qladd_avx2.cpp): ``a * r1 + (b * r2 + c)`` in float32, two fused multiply-adds of
    raw codes, with ``c`` the output's zero point less those of the operands. ``onnx`` and ``qonnx``: dequantised,
    added and quantised in float32. ``addersim``: both products by multipliers that share one shift, one rounding.
    """
    if rule.formula == "float":
        return _float_addition(first, second, output)
    scales = np.array([first.scale, second.scale])
    if rule.formula in OF_REALS:
        return _constants(rule.formula, 0, np.zeros(3), np.zeros(3), np.array([*scales, output.scale], np.float32))
    if rule.formula == "half-even":
        larger = rule.constants(scales.max() / output.scale, output)
        multipliers = np.rint(np.ldexp(scales / output.scale, int(larger.shift[0])))
        return _constants(rule.formula, 0, np.array([*multipliers, 0]), np.full(3, larger.shift[0]), np.zeros(3))
    left = _LEFT_SHIFT if max(first.bits, second.bits) <= 8 else _LEFT_SHIFT_WIDE
    common = 2 * scales.max()
    before = 1 if rule.formula == "doubling" else 2**left
    held = rule.constants([*scales / common * before, common / (2**left * output.scale)], output)
    return _constants(rule.formula, left if before == 1 else 0, held.multiplier, held.shift, held.factor)


def _constants(formula: Formula, left: int, multiplier: Array, shift: Array, factor: Array) -> AdditionConstants:
    return AdditionConstants(formula, left, multiplier.astype(np.int32), shift.astype(np.int32), factor.astype(np.float32))


def _float_addition(first: FixedFormat, second: FixedFormat, output: FixedFormat) -> AdditionConstants:
    a, b, y = np.float32(first.scale), np.float32(second.scale), np.float32(output.scale)
    ratios = a / y, b / y
    of_second = ratios[1] * np.float32(second.zero_point)
    both = np.float64(ratios[0]) * first.zero_point + of_second  # one rounding: its kernel for AVX2 is compiled to fuse them
    zero = np.float32(output.zero_point) - np.float32(both)
    return _constants("float", 0, np.zeros(3), np.zeros(3), np.array([*ratios, zero], np.float32))


def mean_constants(
    rule: RequantisationRule, operator: Mean, given: FixedFormat, output: FixedFormat, inside: Array, divisors: Array
) -> tuple[Constants, Array]:
    """Constants and bias (int32) of a rule for the means of sums of raw codes.

    Parameters
    ----------
    rule
        Of scaling and rounding.
    operator
        ``pool`` (a window that moves) or ``reduction`` (the mean over whole axes): frameworks round them differently.
    given, output
        Formats of codes and means.
    inside, divisors
        How many codes each sum has, and what it is divided by; int64, shape ``(channels,)``.

    ``tflite``: a pool divides raw codes, ties away from zero (kernels/internal/reference/integer_ops/pooling.h); a reduction
    divides the multiplier (kernels/internal/reference/reduce.h: QuantizedMeanOrSum). ``tosa``: a pool multiplies raw codes,
    for whose zero points the legalisation of TensorFlow Lite's pools (tosa-converter-for-tflite 2026.2.0) writes 0, by
    reciprocal_scale (specification 1.0, AVG_POOL2D), always with single rounding. ``ort``: a reduction scales by
    ``given / (output * count)`` in float32 (core/mlas/lib/qlgavgpool.cpp); its pool adds real numbers, and so
    does ``qonnx``: `takes_reals`. Others scale the sum by ``gain / divisor``.
    """
    zero = given.zero_point
    bias = (-zero * inside).astype(np.int32)
    if keeps_zero_point(rule, operator):
        if (given.scale, given.zero_point) != (output.scale, output.zero_point):
            raise FormatError(f"mean: {given} into {output}; a pool of rule {rule.name} keeps scale and zero point")
        bias = (zero * (divisors - inside)).astype(np.int32)
        if rule.formula == "doubling":
            return Constants.of_integers("divide-away", divisors, np.zeros_like(divisors)), bias
        places = np.array([(int(one) - 1).bit_length() for one in divisors])
        return Constants.of_integers("single", (((1 << 30) + 1) << places) // divisors, 30 + places), bias
    if rule.formula == "doubling":
        return _divided(rule.constants(np.full(len(divisors), given.scale / output.scale), output), divisors), bias
    if rule.formula == "float":
        counts = divisors.astype(np.float32)
        return Constants.of_floats("float", np.float32(given.scale) / (np.float32(output.scale) * counts)), bias
    return rule.constants(given.scale / output.scale / divisors, output), bias


def keeps_zero_point(rule: RequantisationRule, operator: Mean) -> bool:
    """Whether a mean is one of raw codes, whose zero point is that of the result."""
    return operator == "pool" and rule.formula in ("doubling", "single", "double")


def mean_format(rule: RequantisationRule, operator: Mean, output: FixedFormat) -> FixedFormat:
    """The format to which means are brought: of raw codes without the zero point, which is in already."""
    return FixedFormat(output.bits, output.signed, output.scale) if keeps_zero_point(rule, operator) else output


def takes_reals(rule: RequantisationRule, operator: Mean, given: FixedFormat) -> bool:
    """Whether a mean of codes in a format is one of real numbers and no scaled sum.

    A pool of ONNX Runtime (contrib_ops/cpu/quantization/qlinear_pool.cc) adds dequantised codes in the order of the taps,
    divides by their number and by the output's scale, and adds the zero point, all in float32, before it rounds. QONNX
    does so, too, which rounds to nearest what ONNX Runtime gives of floats (codes of up to 8 bits here): see `sums_columns`.
    """
    return (rule.formula == "float" and operator == "pool") or (
        rule.formula in ("quant-round", "quantize-linear") and given.bits <= 8
    )


def sums_columns(rule: RequantisationRule) -> bool:
    """Whether real means add each column of a window by itself, then the columns.

    ONNX Runtime does so in its pools of floats (core/mlas/lib/pooling.cpp), which QONNX runs; of means over whole images the
    order is another, which does not show where scales are powers of two.
    """
    return rule.formula in OF_REALS


def dequantised(codes: Array, given: FixedFormat) -> Array:
    """Real values of codes in float32."""
    reals: Array = np.float32(given.scale) * (codes.astype(np.int32) - given.zero_point).astype(np.float32)
    return reals


def unscaled(channels: int, added: int) -> tuple[Constants, Array]:
    """Constants and bias that leave results as they are, but for a number that is added to each."""
    none = np.zeros(channels, np.int32)
    return Constants.of_integers("divide-away", np.ones(channels), none), np.full(channels, added, np.int32)


def _divided(whole: Constants, divisors: Array) -> Constants:
    """Multipliers over divisors, with as many places more as the divisor's leading one has, within what a shift holds."""
    places = np.array([int(one).bit_length() - 1 for one in divisors])
    places = np.minimum(np.minimum(places, 32), 31 + whole.shift)
    multipliers = (whole.multiplier.astype(np.int64) << places) // divisors
    return Constants.of_integers("doubling", multipliers, whole.shift - places)


def addition_bill(rule: RequantisationRule, words: int, bits: int, output: FixedFormat) -> OpCounts:
    """What adding two codes costs: zero points taken off, both operands scaled, added, the sum scaled.

    ``half-even`` scales the sum of two products by one shift; ``float`` is two fused multiply-adds of float32, each billed as
    the product and the addition of 24-bit mantissas, and no scaling of the sum.
    """
    zero = bool(output.zero_point)
    if rule.formula == "half-even":
        product = bits + rule.multiplier_bits
        steps = OpCounts({("mul", max(bits, rule.multiplier_bits)): 2, ("add", product + 1): 1, ("shift", product + 1): 1})
        return (steps + OpCounts({("sub", bits + 1): 2, ("add", output.bits + 1): int(zero)})) * words
    if rule.formula == "float":
        return OpCounts({("shift", 32): 3, ("mul", 24): 2, ("add", 8): 2, ("add", 24): 2}) * words
    operands = rule.bill(2 * words, bits + 1, output.bits, bias=True)
    whole = operands + OpCounts({("add", 32): words})
    return whole if rule.formula in OF_REALS else whole + rule.bill(words, 32, output.bits, zero_point=zero)


def mean_bill(
    rule: RequantisationRule, operator: Mean, words: int, bits: int, given: FixedFormat, output: FixedFormat
) -> OpCounts:
    """What it costs to make means of sums of a width, whose additions are not in it.

    A division by the number of codes, which is constant, is a product with its reciprocal: where ties go away from zero one
    half of the number is added first. Real means are divided twice, by the number and by the output's scale.
    """
    if operator == "pool" and rule.formula == "doubling":
        return OpCounts({("add", bits): 1, ("mul", 32): 1, ("shift", 64): 1}) * words
    if operator == "pool" and rule.formula in ("single", "double"):
        rule = RULES["tosa"]
    scaling = rule.bill(words, bits, output.bits, bias=True, zero_point=bool(output.zero_point))
    return scaling + OpCounts({("mul", 24): words, ("add", 8): words}) if takes_reals(rule, operator, given) else scaling
