"""Arithmetic of codes: sums, products, clips, functions, and codes of one scale to those of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.formats import activation_ends
from addersim.frontends.tflite.functions import complement, form_of, of_constant, product_scale
from addersim.layers import IntegerClip, IntegerRescale, IntegerRescaledAdd, IntegerRescaledProduct, IntegerRuleSoftmax

__all__ = ["OPERATORS"]


def _added(call: Call) -> str:
    if (found := of_constant(call)) is not None:
        return found
    return _sum(call, call.flow(1))


def _subtracted(call: Call) -> str:
    """The sum with the second operand's negative: kernels/sub.cc negates its multiplier (PrepareGeneralSubOp)."""
    if (found := of_constant(call)) is not None:
        return found
    return _sum(call, complement(call, call.flow(1), ".negative"))


def _sum(call: Call, second: str) -> str:
    return call.layer(
        IntegerRescaledAdd,
        call.flow(0),
        second,
        first=call.format(0),
        second=form_of(call, second),
        rule=RULE,
        output=call.output_format,
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
        "SUB": _subtracted,
        **{name: _clipped(name) for name in ("RELU", "RELU6", "RELU_N1_TO_1")},
    }
)
