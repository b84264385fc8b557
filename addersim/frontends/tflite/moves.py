"""Operators that only rearrange codes: shapes, axes, borders, and joining."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.formats import code_format
from addersim.frontends.tflite.records import Tensor
from addersim.layers import IntegerConcat, IntegerTable
from addersim.layers.move import ZERO, Permute, Reshape, Take

__all__ = ["OPERATORS", "check_format", "keeps_format"]

MAX_BORDER = 1 << 20


def keeps_format(call: Call) -> None:
    """Refuse an operator that passes codes on, into another format."""
    check_format(call, call.format(), call.output)


def check_format(call: Call, given: FixedFormat, tensor: Tensor) -> None:
    """Refuse a tensor whose codes have another format than those that become it, or that it becomes."""
    if code_format(tensor) != given:
        call.fail(f"codes in {given} become {code_format(tensor)}; this operator passes codes on as they are")


def _reshaped(call: Call) -> str:
    """To a shape that is given or worked out; or, where all positions become images, to these beside each other."""
    keeps_format(call)
    given = call.shape()
    count, channels = call.batch * math.prod(given), given[0]
    wanted = _new_shape(call)
    if wanted.count(-1) == 1:
        wanted[wanted.index(-1)] = count // max(-math.prod(wanted), 1)
    if len(wanted) < 2 or min(wanted) < 1 or math.prod(wanted) != count:
        call.fail(f"cannot give {given} the shape {tuple(wanted)}, images first")
    if wanted[0] == call.batch:
        return call.reshape(call.flow(), (wanted[-1], *wanted[1:-1]))
    if len(wanted) != 2 or wanted[1] != channels:
        call.fail(f"gives {given} the shape {tuple(wanted)}, images first: they would no longer be independent")
    return call.reshape(call.flow(), (channels, math.prod(given[1:])))


def _new_shape(call: Call) -> list[int]:
    held = call.inputs[1] if len(call.inputs) > 1 else None
    if held is not None and held.data is not None:
        return [int(size) for size in call.constant(1, "the shape").reshape(-1)]
    first, *others = call.output_shape()
    return [call.batch, *others, first]


def _expanded(call: Call) -> str:
    """An axis of size 1 more."""
    keeps_format(call)
    shape = call.shape()
    axes, (axis,) = [*shape[1:], shape[0]], call.constant(1, "the axis").reshape(-1).tolist()
    rank = len(axes) + 2
    if not -rank <= axis < rank or not axis % rank:
        call.fail(f"a new axis {axis} of a value of {rank - 1} axes; that of the images stays the first")
    axes.insert(axis % rank - 1, 1)
    return call.reshape(call.flow(), (axes[-1], *axes[:-1]))


def _squeezed(call: Call) -> str:
    """Without axes of size 1."""
    keeps_format(call)
    shape, rank = call.shape(), len(call.shape()) + 1
    axes = [axis for axis, size in enumerate((*shape[1:], shape[0]), 1) if size == 1]
    asked = [axis % rank for axis in call.option("SqueezeDims", ()) if -rank <= axis < rank]
    if not set(asked) <= {*axes}:
        call.fail(f"squeezes axes {asked} of {shape}, which are not of size 1")
    return call.dropped(call.flow(), asked or axes)


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


def _to_space(call: Call) -> str:
    """Channels to the pixels of a block."""
    side, shape = _block(call), call.shape()
    if shape[0] % (side * side):
        call.fail(f"makes pixels of {shape[0]} channels, in blocks of {side} x {side}")
    kept, (high, wide) = shape[0] // side**2, shape[1:]
    steps = Reshape((side, side, kept, high, wide)), Permute((2, 3, 0, 4, 1)), Reshape((kept, high * side, wide * side))
    return call.move(call.flow(), steps)


def _to_channels(call: Call) -> str:
    """The pixels of a block to channels."""
    side, (kept, high, wide) = _block(call), call.shape()
    if high % side or wide % side:
        call.fail(f"cuts an image of {high} x {wide} pixels into blocks of {side} x {side}")
    split = Reshape((kept, high // side, side, wide // side, side))
    steps = split, Permute((2, 4, 0, 1, 3)), Reshape((kept * side**2, high // side, wide // side))
    return call.move(call.flow(), steps)


def _block(call: Call) -> int:
    keeps_format(call)
    side = int(call.option("BlockSize", 0))
    return side if side > 0 and len(call.shape()) == 3 else call.fail(f"blocks of {side} of {call.shape()}; expected images")


def _part(call: Call, place: int, output: FixedFormat) -> str:
    """What is joined, as codes of the whole: UINT8 may be of others.

    They are rescaled in float32, ties away from zero (kernels/internal/reference/concatenation.h: ConcatenationWithScaling).
    """
    given, tensor = call.format(place), call.tensor(place, f"input {place}")
    if given == output:
        return call.flow(place)
    if tensor.type != "UINT8":
        tensor.fail(f"joins codes in {given} into {output}; all must have one scale and one zero point")
    scale = np.float32(given.scale) * (np.float32(1) / np.float32(output.scale))
    steps = np.arange(256, dtype=np.float32) * scale + np.float32(-given.zero_point) * scale
    away = np.copysign(np.floor(np.abs(steps.astype(np.float64)) + 0.5), steps)
    held = np.clip(away + output.zero_point, output.minimum, output.maximum).astype(output.dtype)[:, None]
    return call.layer(
        IntegerTable, call.flow(place), part=f".part{place}", function="rescaling", source=given, output=output, codes=held
    )


def _joined(call: Call) -> str:
    """Side by side along an axis; that of the channels needs no rearranging."""
    output = call.output_format
    parts = [_part(call, place, output) for place in range(len(call.inputs))]
    if call.option("FusedActivationFunction", "NONE") != "NONE":
        call.fail(f"fused activation {call.option('FusedActivationFunction', 'NONE')} of joined codes is not supported")
    rank = len(call.shape()) + 1
    axis = call.axis(call.option("Axis", 0), rank)
    turned = Permute(tuple({0: axis, axis: 0}.get(place, place) for place in range(rank - 1)))
    if len(call.inputs) == 1:
        return parts[0]
    if axis == 0:
        return call.layer(IntegerConcat, *parts, output=output)
    sources = [call.move(one, (turned,), ".input") for one in parts]
    return call.move(call.layer(IntegerConcat, *sources, output=output, part=".joined"), (turned,))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "CONCATENATION": _joined,
        "DEPTH_TO_SPACE": _to_space,
        "EXPAND_DIMS": _expanded,
        "PAD": _padded,
        "PADV2": _padded,
        "RESHAPE": _reshaped,
        "SPACE_TO_DEPTH": _to_channels,
        "SQUEEZE": _squeezed,
        "TRANSPOSE": _transposed,
    }
)
