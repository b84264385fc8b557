"""Averages and maxima over windows, and over whole axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.rescaled_sums import Mean
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.extremes import complement
from addersim.frontends.tflite.windows import moves
from addersim.layers import IntegerAveragePool, IntegerClip, IntegerMaxPool
from addersim.layers.move import Permute, Reshape

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


def _mean(call: Call, output: FixedFormat, operator: Mean, source: str = "", **windows: Any) -> str:
    given = call.format()
    return call.layer(
        IntegerAveragePool,
        source or call.flow(),
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


def _over_axes(call: Call, reduced: Callable[[str], str]) -> str:
    """What is computed over whole axes: they become the image, and what is left the channels, of what `reduced` reads."""
    shape, rank = call.shape(), len(call.shape()) + 1
    axes = {call.axis(axis, rank) for axis in call.constant(1, "axes").reshape(-1).tolist()}
    if not axes:
        call.fail("over no axes at all; expected one at least")
    kept = [axis for axis in range(rank - 1) if axis not in axes]
    over = [axis for axis in range(rank - 1) if axis in axes]
    source, left = call.flow(), tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    if (len(shape), over) != (3, [1, 2]):
        wide = math.prod(shape[axis] for axis in kept), math.prod(shape[axis] for axis in over)
        source = call.move(source, (Permute((*kept, *over)), Reshape((*wide, 1))), ".input")
    found = call.move(reduced(source), (Reshape(left),), ".axes")
    return found if call.option("KeepDims", False) else call.dropped(found, [axis or rank - 1 for axis in axes], ".shape")


def _axes_mean(call: Call) -> str:
    """The mean over some axes; with them, or without them."""
    return _over_axes(call, lambda source: _mean(call, call.output_format, "reduction", source))


def _axes_minimum(call: Call) -> str:
    """The smallest code over some axes: the complement of the largest complement."""
    form = _one_format(call)

    def smallest(source: str) -> str:
        turned = complement(call, source, ".complement")
        found = call.layers.values[turned]
        opposite = FixedFormat(form.bits, form.signed, form.scale, found.zero_point)
        return complement(call, call.layer(IntegerMaxPool, turned, part=".largest", output=opposite))

    return _over_axes(call, smallest)


def _axes_maximum(call: Call) -> str:
    """The largest code over some axes."""
    form = _one_format(call)
    return _over_axes(call, lambda source: call.layer(IntegerMaxPool, source, output=form))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "AVERAGE_POOL_2D": _average,
        "MAX_POOL_2D": _maximum,
        "MEAN": _axes_mean,
        "REDUCE_MAX": _axes_maximum,
        "REDUCE_MIN": _axes_minimum,
    }
)
