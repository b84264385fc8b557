"""What requantisation and its slow twin take: checks of every argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.integer_softmax import MOST_CLASSES
from addersim.arithmetic.pooling import pool_axes
from addersim.arithmetic.requantisation import OF_REALS, RULES, Constants, RequantisationRule, requantisation_rule
from addersim.arithmetic.rescaled_sums import MEANS, Mean, takes_reals
from addersim.errors import FormatError, NetworkError
from addersim.kernels.checks import CODES, INTEGERS, check_array, check_format, check_pool, check_shapes

__all__ = [
    "check_addition",
    "check_channels",
    "check_mean",
    "check_reach",
    "check_requantisation",
    "check_softmax",
    "window_counts",
]

Array = npt.NDArray[Any]
INT32 = (-(2**31), 2**31 - 1)


class Windows(TypedDict, total=False):
    """How a pooling window moves, by keyword: see `addersim.kernels.max_pool`."""

    stride: Pair
    padding: Pair
    far_padding: Pair | None
    ceil_mode: bool


def check_requantisation(
    values: object, bias: object, rule: str | RequantisationRule, output: FixedFormat, low: int | None, high: int | None
) -> tuple[RequantisationRule, Array, Array, int, int]:
    """The rule, values as codes or int32, the bias as int32, and the ends of the codes."""
    found = rule if isinstance(rule, RequantisationRule) else requantisation_rule(rule)
    array = check_array("values", values, INTEGERS)
    whole = check_array("bias", bias, ("int64", "int32"))
    if not array.ndim or whole.shape != array.shape[-1:] or not whole.size:
        raise NetworkError(f"bias: shape {whole.shape}; values of shape {array.shape} need one value a channel")
    if array.dtype == np.int64:
        array = _narrow("values", array)
    return found, array, _narrow("bias", whole), *_ends(output, low, high)


def _narrow(what: str, values: Array) -> Array:
    if values.size and not INT32[0] <= values.min() <= values.max() <= INT32[1]:
        raise FormatError(f"{what}: {values.min()}..{values.max()} leave the 32 bits that a requantisation rule takes")
    return values.astype(np.int32)


def _ends(output: FixedFormat, low: int | None, high: int | None) -> tuple[int, int]:
    check_format(output, "saturate")
    ends = output.minimum if low is None else low, output.maximum if high is None else high
    if not output.minimum <= ends[0] <= ends[1] <= output.maximum:
        raise FormatError(f"activation: codes {ends[0]}..{ends[1]}; {output} holds {output.minimum}..{output.maximum}")
    return ends


def check_channels(constants: Constants, bias: Array) -> None:
    """Constants of every channel."""
    if constants.factor.shape != bias.shape:
        raise NetworkError(f"scales: shape {constants.factor.shape}; expected one a channel, {bias.shape}, or one for all")


def check_reach(values: Array, bias: Array) -> Array:
    """Values plus bias in int64, or an error where they leave 32 bits."""
    sums: Array = values.astype(np.int64) + bias
    if sums.size and not INT32[0] <= sums.min() <= sums.max() <= INT32[1]:
        ends = f"{sums.min()}..{sums.max()}"
        raise FormatError(f"values: with their bias {ends}, beyond the 32 bits that a requantisation rule takes")
    return sums


def check_addition(
    a: object,
    b: object,
    a_format: FixedFormat,
    b_format: FixedFormat,
    rule: str | RequantisationRule,
    output: FixedFormat,
    low: int | None,
    high: int | None,
    product: bool,
) -> tuple[RequantisationRule, Array, Array, int, int]:
    """The rule, two arrays of codes of one shape in their formats, and the ends of the codes."""
    found = rule if isinstance(rule, RequantisationRule) else requantisation_rule(rule)
    if product and found.formula not in OF_REALS:
        allowed = ", ".join(one.name for one in RULES.values() if one.formula in OF_REALS)
        raise FormatError(
            f"product: rule {found.name} scales whole products, see requantize; products of reals have {allowed}"
        )
    arrays = _codes("a", a, a_format), _codes("b", b, b_format)
    check_shapes("add", *arrays)
    return found, *arrays, *_ends(output, low, high)


def _codes(what: str, values: object, given: FixedFormat) -> Array:
    check_format(given, "saturate")
    array = check_array(what, values, CODES)
    if array.dtype != given.dtype:
        raise FormatError(f"{what}: codes of {array.dtype}; {given} has codes of {given.dtype}")
    return array


def check_mean(
    x: object,
    given: FixedFormat,
    rule: str | RequantisationRule,
    operator: Mean,
    output: FixedFormat,
    low: int | None,
    high: int | None,
    kernel: Pair,
    windows: Mapping[str, Any],
) -> tuple[RequantisationRule, Array, int, int, Geometry]:
    """The rule, codes in their format, the ends of the codes, and how the window moves."""
    found = rule if isinstance(rule, RequantisationRule) else requantisation_rule(rule)
    if operator not in MEANS:
        raise FormatError(f"operator: {operator!r} is not one of {', '.join(MEANS)}")
    array = _codes("x", x, given)
    if takes_reals(found, operator, given) and given.bits > 8:
        raise FormatError(f"mean: {given}; a pool of rule {found.name} takes codes of at most 8 bits")
    moves = {"stride": kernel, "padding": (0, 0), "far_padding": None, "ceil_mode": False} | dict(windows)
    geometry, _ = check_pool(array, kernel, dilation=(1, 1), **moves)
    return found, array, *_ends(output, low, high), geometry


def window_counts(geometry: Geometry, x: Array, count_padding: bool) -> tuple[Array, Array]:
    """Codes under each window and what their sum is divided by, in raster order; one of each where all are the same."""
    rows, columns = pool_axes(geometry, x.shape[1], x.shape[2])
    inside = np.multiply.outer(np.array(rows.inside, np.int64), np.array(columns.inside, np.int64)).ravel()
    taps = np.multiply.outer(np.array(rows.taps, np.int64), np.array(columns.taps, np.int64)).ravel()
    divisors = taps if count_padding else inside
    same = (inside == inside[0]).all() and (divisors == divisors[0]).all()
    return (inside[:1], divisors[:1]) if same else (inside, divisors)


def check_softmax(x: object, given: FixedFormat, rule: str, output: FixedFormat) -> Array:
    """Codes of one byte, few enough classes of them, and the format that the rule's shares have."""
    if rule != "tflite":
        raise FormatError(f"softmax: rule {rule!r} has none of whole numbers; tflite has")
    array = _codes("x", x, given)
    check_format(output, "saturate")
    if given.bits != 8 or (output.bits, output.scale, output.zero_point) != (8, 2.0**-8, output.minimum):
        found = f"softmax: {given} into {output}"
        raise FormatError(f"{found}; rule tflite takes codes of 8 bits and gives 8 bits of scale 1/256 from 0")
    if given.signed != output.signed:
        raise FormatError(f"softmax: {given} into {output}; both have a sign or none")
    if not array.ndim or not 1 <= array.shape[-1] <= MOST_CLASSES:
        raise NetworkError(f"softmax: shape {array.shape}; expected 1..{MOST_CLASSES} classes on the last axis")
    return array
