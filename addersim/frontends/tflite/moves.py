"""Operators that only rearrange codes: shapes, axes, borders, and joining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.formats import code_format
from addersim.layers import IntegerConcat
from addersim.layers.move import ZERO, Permute, Take

__all__ = ["OPERATORS", "beside", "check_one_format", "keeps_format"]

MAX_BORDER = 1 << 20


def keeps_format(call: Call, place: int = 0) -> None:
    """Refuse an operator that passes the codes of an input on, into another format."""
    given, output = call.format(place), call.output_format
    if given != output:
        call.fail(f"codes in {given} become {output}; this operator passes codes on as they are")


def _reshaped(call: Call) -> str:
    """To the shape of the output, which the file has worked out."""
    keeps_format(call)
    return call.reshape(call.flow(), call.output_shape())


def _transposed(call: Call) -> str:
    keeps_format(call)
    order, rank = call.constant(1, "order of axes").reshape(-1).tolist(), len(call.shape()) + 1
    if sorted(order) != list(range(rank)) or order[0] != 0:
        call.fail(f"axes in the order {order}; of {rank} axes that of the images stays the first")
    first, *others = (call.axis(axis, rank) for axis in (order[-1], *order[1:-1]))
    return call.move(call.flow(), (Permute((first, *others)),))


def _padded(call: Call) -> str:
    """Borders of zeros, which are the zero point's code."""
    keeps_format(call)
    sizes, shape = call.constant(1, "borders"), call.shape()
    rank = len(shape) + 1
    if sizes.shape != (rank, 2) or sizes.min() < 0 or sizes.max() > MAX_BORDER:
        call.fail(f"borders {sizes.tolist()}; expected two whole numbers from 0 to {MAX_BORDER:,} for each of {rank} axes")
    if sizes[0].any():
        call.fail("pads the images' axis: there would be more images")
    if call.operator.name == "PADV2":
        _check_zero(call)
    steps = []
    for axis in range(1, rank):
        before, after = map(int, sizes[axis])
        if before or after:
            place = call.axis(axis, rank)
            inside = np.arange(shape[place], dtype=np.int32)
            steps.append(Take(place, np.pad(inside, (before, after), constant_values=ZERO)))
    return call.move(call.flow(), tuple(steps))


def _check_zero(call: Call) -> None:
    value = call.constant(2, "the border's value", ("INT8", "UINT8"))
    if value.size != 1 or int(value.reshape(())) != call.output_format.zero_point:
        call.fail(f"borders of code {value.reshape(-1)[:3].tolist()}; only those of zero, {call.output_format}, are supported")


def check_one_format(call: Call) -> None:
    """Refuse an operator on several values whose formats are not those of its output."""
    output = call.output_format
    for place, tensor in enumerate(call.inputs):
        call.flow(place)
        if tensor is not None and code_format(tensor) != output:
            tensor.fail(f"joins codes in {code_format(tensor)} into {output}; all must have one scale and one zero point")


def _joined(call: Call) -> str:
    """Side by side along an axis; that of the channels needs no rearranging."""
    check_one_format(call)
    if call.option("FusedActivationFunction", "NONE") != "NONE":
        call.fail(f"fused activation {call.option('FusedActivationFunction', 'NONE')} of joined codes is not supported")
    axis = call.axis(call.option("Axis", 0), len(call.shape()) + 1)
    return beside(call, [call.flow(place) for place in range(len(call.inputs))], axis)


def beside(call: Call, sources: Sequence[str], axis: int) -> str:
    """Values of the output's format side by side along an axis, as layers count them: along 0 without rearranging."""
    if len(sources) == 1:
        return sources[0]
    output = call.output_format
    if axis == 0:
        return call.layer(IntegerConcat, *sources, output=output)
    rank = len(call.layers.values[sources[0]].shape)
    turned = Permute(tuple({0: axis, axis: 0}.get(place, place) for place in range(rank)))
    moved = [call.move(source, (turned,), ".input") for source in sources]
    return call.move(call.layer(IntegerConcat, *moved, output=output, part=".joined"), (turned,))


def _stacked(call: Call) -> str:
    """Side by side along an axis that is new."""
    check_one_format(call)
    shape = call.output_shape()
    axis = call.axis(call.option("Axis", 0), len(shape) + 1)
    thin = (*shape[:axis], 1, *shape[axis + 1 :])
    return beside(call, [call.reshape(call.flow(place), thin, ".input") for place in range(len(call.inputs))], axis)


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "CONCATENATION": _joined,
        "EXPAND_DIMS": _reshaped,
        "PACK": _stacked,
        "PAD": _padded,
        "PADV2": _padded,
        "RESHAPE": _reshaped,
        "SQUEEZE": _reshaped,
        "TRANSPOSE": _transposed,
    }
)
