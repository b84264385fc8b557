"""Arithmetic of codes: sums, products, clips, functions, and codes of one scale to those of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.formats import activation_ends, code_format
from addersim.frontends.tflite.functions import of_constant, product_scale
from addersim.layers import IntegerClip, IntegerRescale, IntegerRescaledAdd, IntegerRescaledProduct, IntegerRuleSoftmax

__all__ = ["OPERATORS"]


_ADDITION_PLACES = 20
"""By which operands are moved left before they are added (kernels/add.cc, kernels/sub.cc: Prepare)."""


def _check_addition(call: Call) -> None:
    """Refuse sums that LiteRT scales by one or more, with which its kernels end the process or wrap."""
    largest = max(code_format(call.tensor(place, f"operand {place}")).scale for place in (0, 1))
    factor = 2 * largest / (call.output_format.scale * (1 << _ADDITION_PLACES))
    if factor >= 1:
        call.output.fail(
            f"has the scale {call.output_format.scale:g}, an operand {largest:g}: read is less than 2**19 times that"
        )


def _added(call: Call) -> str:
    _check_addition(call)
    if (found := of_constant(call)) is not None:
        return found
    first, second = call.format(0), call.format(1)
    return call.layer(
        IntegerRescaledAdd,
        call.flow(0),
        call.flow(1),
        first=first,
        second=second,
        rule=RULE,
        output=call.output_format,
        subtract=call.operator.name == "SUB",
        **call.ends,
    )


def _multiplied(call: Call) -> str:
    if (found := of_constant(call)) is not None:
        return found
    first, second, output = call.format(0), call.format(1), call.output_format
    return call.layer(
        IntegerRescaledProduct,
        call.flow(0),
        call.flow(1),
        first=first,
        second=second,
        scale=product_scale(first, second, output),
        rule=RULE,
        output=output,
        **call.ends,
    )


def _softmax(call: Call) -> str:
    return call.layer(
        IntegerRuleSoftmax,
        call.flow(),
        source=call.format(),
        rule=RULE,
        output=call.output_format,
        beta=float(call.option("Beta", 1.0)),
    )


def _clipped(name: str) -> Callable[[Call], str]:
    """An activation that stands alone."""

    def clipped(call: Call) -> str:
        given, output = call.format(), call.output_format
        low, high = activation_ends(name, output)
        if given == output:
            return call.layer(IntegerClip, call.flow(), output=output, low=low, high=high)
        return _rescaled(call, float(np.float32(given.scale) / np.float32(output.scale)), low, high)

    return clipped


def _rescaled(call: Call, scale: float, low: int | None = None, high: int | None = None) -> str:
    """Codes of another format, by a real factor."""
    return call.layer(
        IntegerRescale,
        call.flow(),
        bias=np.array([-call.format().zero_point], np.int64),
        scale=np.array([scale]),
        rule=RULE,
        output=call.output_format,
        low=low,
        high=high,
    )


def _quantized(call: Call) -> str:
    """Codes of other codes; those of real images are what a program takes."""
    if call.tensor(0, "input").type == "FLOAT32":
        return call.flow()
    given, output = call.format(), call.output_format
    return call.flow() if given == output else _rescaled(call, given.scale / output.scale)


def _dequantized(call: Call) -> str:
    """Codes stay what they are: their format says what they stand for."""
    call.format()
    return call.flow()


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "ADD": _added,
        "DEQUANTIZE": _dequantized,
        "MUL": _multiplied,
        "QUANTIZE": _quantized,
        "SOFTMAX": _softmax,
        "SUB": _added,
        **{name: _clipped(name) for name in ("RELU", "RELU6", "RELU_N1_TO_1")},
    }
)
