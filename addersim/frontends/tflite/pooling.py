"""Averages and maxima over windows, and means over whole images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.rescaled_sums import Mean
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.windows import moves
from addersim.layers import IntegerAveragePool, IntegerClip, IntegerMaxPool

__all__ = ["OPERATORS"]


def _one_format(call: Call) -> FixedFormat:
    """The format of input and output, which TensorFlow Lite's kernel takes to be one."""
    given, output = call.format(), call.output_format
    if given != output:
        call.fail(f"codes in {given} become {output}; this operator keeps scale and zero point")
    return output


def _kernel(call: Call) -> tuple[int, int]:
    kernel = call.option("FilterHeight", 0), call.option("FilterWidth", 0)
    return kernel if min(kernel) > 0 else call.fail(f"window of {kernel} pixels; both sides are at least 1")


def _average(call: Call) -> str:
    kernel = _kernel(call)
    return _mean(call, _one_format(call), "pool", kernel=kernel, **moves(call, call.shape(), kernel))


def _mean(call: Call, output: FixedFormat, operator: Mean, **windows: Any) -> str:
    given = call.format()
    return call.layer(
        IntegerAveragePool,
        call.flow(),
        gain=given.scale / output.scale,
        multiplier_bits=32,
        output=output,
        rounding="half-even",
        count_padding=False,
        rule=RULE,
        source=given,
        operator=operator,
        **windows,
        **call.ends,
    )


def _maximum(call: Call) -> str:
    form, kernel = _one_format(call), _kernel(call)
    how = moves(call, call.shape(), kernel)
    ends = call.ends
    clipped = any(end is not None for end in ends.values())
    found = call.layer(IntegerMaxPool, call.flow(), part=".maxima" if clipped else "", output=form, kernel=kernel, **how)
    return call.layer(IntegerClip, found, output=form, **ends) if clipped else found


def _image_mean(call: Call) -> str:
    """The mean over height and width; with their axes, or without them."""
    shape, axes = call.shape(), call.constant(1, "axes").reshape(-1).tolist()
    if len(shape) != 3 or {call.axis(axis, len(shape) + 1) for axis in axes} != {1, 2}:
        call.fail(f"mean over axes {axes} of a value of {len(shape) + 1} axes; only that over height and width is supported")
    found = _mean(call, call.output_format, "reduction")
    return found if call.option("KeepDims", False) else call.reshape(found, shape[:1], ".shape")


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {"AVERAGE_POOL_2D": _average, "MAX_POOL_2D": _maximum, "MEAN": _image_mean}
)
