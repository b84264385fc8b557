"""Operators that only move, name, repeat, leave out or pad values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends import rearranging
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Call, Number, Sizes
from addersim.frontends.onnx.constants import BATCH
from addersim.frontends.onnx.file import Array
from addersim.layers import Shape

__all__ = ["OPERATORS"]

Row = Callable[[Call], Any]

MODES: Mapping[str, rearranging.Fill] = MappingProxyType(
    {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
)


def _shaped(flow: Flow, shape: Shape) -> Flow | Number:
    return flow.reshape(shape) if shape else Number(flow.reshape((1,)))


def _flatten(call: Call) -> Flow:
    call.only("axis")
    flow = call.anything()
    axis, rank = call.attribute("axis", 1), flow.rank + 1
    if not -rank <= axis <= rank:
        call.fail(f"attribute axis: {axis} of a value of {rank} axes")
    axis = axis + rank if axis < 0 else axis
    if axis == 0 or math.prod(flow.shape[: axis - 1]) != 1:
        call.fail(f"attribute axis: {axis} mixes images with other axes; 1 keeps the images apart")
    return flow.reshape((math.prod(flow.shape),))


def _reshape(call: Call) -> Flow | Number:
    call.only("allowzero", "shape", "consumed_inputs")
    flow, target = call.anything(), call.whole_numbers(1, "shape") or ()
    if isinstance(call.input(0), Number) and 0 in target[1:]:
        call.fail("keeps an axis that one number an image does not have")
    rest = [
        flow.shape[place] if size == 0 and place < flow.rank and not call.attribute("allowzero", 0) else size
        for place, size in enumerate(target[1:])
    ]
    if (
        not target
        or target[0] not in (0, -1, BATCH, call.batch)
        or min(rest, default=1) < -1
        or [target[0], *rest].count(-1) > 1
    ):
        why = "the first size must be the number of images, the others sizes or one -1"
        call.fail(f"to {_in_words(target)} is not supported; {why}")
    known = math.prod(size for size in rest if size != -1)
    values = math.prod(flow.shape)
    if rest.count(-1) > 1 or not known or values % known or (known != values and -1 not in rest):
        call.fail(f"cannot give {flow.shape} the shape {tuple(rest)}")
    return _shaped(flow, tuple(values // known if size == -1 else size for size in rest))


def _squeeze(call: Call) -> Flow | Number:
    call.only("axes")
    flow, axes = call.flow(), call.whole_numbers(1, "axes")
    if axes is None:
        if call.batch == 1:
            call.fail("takes away every axis of size 1, the images' among them; name the axes")
        axes = tuple(axis + 1 for axis, size in enumerate(flow.shape) if size == 1)
    places = call.axes(axes)
    if any(flow.shape[place] != 1 for place in places):
        call.fail(f"squeezes axes {axes} of images x {flow.shape}; only axes of size 1 can go")
    return _shaped(flow, tuple(size for place, size in enumerate(flow.shape) if place not in places))


def _unsqueeze(call: Call) -> Flow:
    call.only("axes")
    given, flow = call.whole_numbers(1, "axes") or (), call.anything()
    shape = () if isinstance(call.input(0), Number) else flow.shape
    rank = len(shape) + 1 + len(given)
    places = call.axes(given, rank)
    if len(set(places)) != len(places):
        call.fail(f"puts axes {given} into images x {shape}")
    sizes = iter(shape)
    return flow.reshape(tuple(1 if place in places else next(sizes) for place in range(rank - 1)))


def _transpose(call: Call) -> Flow:
    call.only("perm")
    flow = call.flow()
    order = call.attribute("perm", tuple(reversed(range(flow.rank + 1))))
    if sorted(order) != list(range(flow.rank + 1)):
        call.fail(f"perm {order} is no order of the axes of images x {flow.shape}")
    if order[0] != 0:
        call.fail(f"perm {order} moves the images' axis, which must stay the first")
    return flow.permute(tuple(axis - 1 for axis in order[1:]))


def _same(call: Call) -> Flow | Number:
    """Identity, and Dropout at inference."""
    call.only("ratio", "seed", "is_test")
    training = call.optional(2, "training_mode") if call.node.operator == "Dropout" else None
    if training is not None and training.any():
        call.fail("training_mode is true; only inference is supported")
    return _unchanged(call)


def _unchanged(call: Call) -> Flow | Number:
    found = call.input(0)
    return found if isinstance(found, Number) else call.flow()


def _cast(call: Call) -> Flow | Number:
    call.only("to", "saturate", "round_mode")
    if call.attribute("to", 0) not in (1, 10, 11, 16):  # FLOAT, FLOAT16, DOUBLE, BFLOAT16
        call.fail(f"to type {call.attribute('to', 0)}; values that depend on the image are floats")
    return _unchanged(call)


def _cast_like(call: Call) -> Flow | Number | Array:
    """Values that depend on the image are floats already; constants beside them become floats."""
    call.only("saturate", "round_mode")
    found = call.input(0)
    return found.astype(np.float32) if isinstance(found, np.ndarray) else _unchanged(call)


def _shape(call: Call) -> Array:
    call.only("start", "end")
    flow = call.input(0)
    sizes = np.array([BATCH, *(() if isinstance(flow, Number) else call.flow().shape)], np.int64)
    return sizes[call.attribute("start", 0) : call.attribute("end", len(sizes))]


def _size(call: Call) -> Array:
    call.only()
    return np.array(BATCH * math.prod(call.flow().shape), np.int64)


def _concatenate(call: Call) -> Flow:
    call.only("axis")
    flow = next(one for one in call.inputs if isinstance(one, Flow))
    axis = call.axis(call.attribute("axis", 1), flow.rank + 1)
    parts = [_part(call, place, flow) for place in range(len(call.inputs))]
    return rearranging.concatenate(call.graph, call.name, parts, axis) if len(parts) > 1 else flow


def _part(call: Call, place: int, flow: Flow) -> Flow | Array:
    found = call.input(place)
    if not isinstance(found, np.ndarray):
        return call.flow(place)
    if found.ndim != flow.rank + 1 or found.shape[0] != 1:
        call.fail(f"joins values and a constant of shape {found.shape}, which must have as many axes, the first of size 1")
    return np.asarray(found[0])


def _split(call: Call) -> tuple[Flow, ...]:
    call.only("axis", "split", "num_outputs")
    flow, parts = call.flow(), len(call.node.outputs)
    axis = call.axis(call.attribute("axis", 0))
    sizes = call.whole_numbers(1, "split")
    if not sizes:
        each = -(-flow.shape[axis] // parts)
        sizes = (*[each] * (parts - 1), flow.shape[axis] - each * (parts - 1))
    if len(sizes) != parts or min(sizes) < 1 or sum(sizes) != flow.shape[axis]:
        call.fail(f"splits {flow.shape[axis]} positions into {sizes}, for {parts} outputs")
    ends = np.cumsum([0, *sizes])
    return tuple(flow.take(axis, np.arange(start, stop)) for start, stop in pairwise(ends))


def _slice(call: Call) -> Flow:
    call.only("axes", "ends", "starts")
    flow, rank = call.flow(), call.flow().rank + 1
    starts, stops = call.whole_numbers(1, "starts"), call.whole_numbers(2, "ends")
    if starts is None or stops is None:
        call.fail("starts or ends are missing")
    axes, steps = call.whole_numbers(3, "axes"), call.whole_numbers(4, "steps")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        if axis in (0, -rank) and (start, step) == (0, 1) and (stop in (BATCH, call.batch) or stop >= (1 << 31) - 1):
            continue
        place = call.axis(axis)
        if BATCH in (start, stop):
            call.fail("cuts at a place that depends on the number of images")
        flow = flow.take(place, rearranging.positions(flow.shape[place], start, stop, step))
    return flow


def _gather(call: Call) -> Flow | Number:
    call.only("axis")
    flow, indices = call.flow(), call.constant(1, "indices")
    axis = call.axis(call.attribute("axis", 0))
    size = flow.shape[axis]
    if indices.dtype.kind != "i" or not indices.size or indices.min() < -size or indices.max() >= size:
        call.fail(f"takes positions {indices.reshape(-1)[:8].tolist()} of {size}")
    taken = flow.take(axis, indices.reshape(-1) % size)
    return _shaped(taken, (*flow.shape[:axis], *indices.shape, *flow.shape[axis + 1 :]))


def _expand(call: Call) -> Flow:
    call.only()
    flow, target = call.flow(), call.whole_numbers(1, "the shape") or ()
    if len(target) > flow.rank + 1 or (len(target) == flow.rank + 1 and target[0] not in (1, BATCH, call.batch)):
        call.fail(f"expands images x {flow.shape} to {_in_words(target)}; the first size must be the number of images")
    sizes = (*[1] * (flow.rank - len(target)), *target[-flow.rank :])
    if min(sizes) < 1:
        call.fail(f"expands images x {flow.shape} to {_in_words(target)}")
    return flow.expand(tuple(have if want == 1 else want for have, want in zip(flow.shape, sizes, strict=True)))


def _in_words(sizes: Sequence[int]) -> list[int | str]:
    return ["images" if size == BATCH else size for size in sizes]


def _tile(call: Call) -> Flow:
    call.only()
    flow, times = call.flow(), call.whole_numbers(1, "repeats") or ()
    if len(times) != flow.rank + 1 or times[0] != 1 or min(times) < 1:
        call.fail(f"repeats images x {flow.shape} {times} times; the images' axis must stay as it is")
    return rearranging.repeat(flow, times[1:])


def _pad(call: Call) -> Flow:
    call.only("pads", "value", "mode")
    flow, mode = call.flow(), call.attribute("mode", "constant")
    given, axes = call.whole_numbers(1, "pads") or (), call.whole_numbers(3, "axes")
    rank = flow.rank + 1
    places = tuple(range(rank)) if axes is None else tuple(axis % rank for axis in axes)
    if mode not in MODES:
        call.fail(f"attribute mode: {mode!r} is not one of {', '.join(MODES)}")
    if len(given) != 2 * len(places) or len(set(places)) != len(places):
        call.fail(f"pads {given} for {len(places)} axes; expected a number before and one after each")
    pads = [(0, 0)] * rank
    for place, before, after in zip(places, given, given[len(places) :], strict=False):
        pads[place] = (before, after)
    if any(pads[0]):
        call.fail(f"pads {given} add images or take some away")
    if mode != "constant":
        return rearranging.pad(flow, pads[1:], MODES[mode])
    return rearranging.pad_with(call.graph, call.name, flow, pads[1:], call.number(2, "value", 0.0))


def _blocks(call: Call) -> tuple[Flow, int, Sizes]:
    flow, block = call.flow(), call.attribute("blocksize", 0)
    if flow.rank != 3 or block < 1:
        call.fail(f"blocks of {block} of a value of shape {flow.shape}; expected channels x height x width")
    return flow, block, flow.shape


def _depth_to_space(call: Call) -> Flow:
    call.only("blocksize", "mode")
    flow, block, (channels, height, width) = _blocks(call)
    mode = call.attribute("mode", "DCR")
    if channels % block**2 or mode not in ("DCR", "CRD"):
        call.fail(f"blocks of {block} of {channels} channels, mode {mode!r}; DCR and CRD are supported")
    if mode == "CRD":
        return rearranging.pixel_shuffle(flow, block)
    parts = flow.reshape((block, block, channels // block**2, height, width)).permute((2, 3, 0, 4, 1))
    return parts.reshape((channels // block**2, height * block, width * block))


def _space_to_depth(call: Call) -> Flow:
    call.only("blocksize", "mode")
    flow, block, (channels, height, width) = _blocks(call)
    mode = call.attribute("mode", "DCR")
    if height % block or width % block or mode not in ("DCR", "CRD"):
        call.fail(f"blocks of {block} of {height} x {width} pixels, mode {mode!r}; DCR and CRD are supported")
    if mode == "CRD":
        return rearranging.pixel_unshuffle(flow, block)
    parts = flow.reshape((channels, height // block, block, width // block, block)).permute((2, 4, 0, 1, 3))
    return parts.reshape((channels * block**2, height // block, width // block))


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Cast": _cast,
        "CastLike": _cast_like,
        "Concat": _concatenate,
        "DepthToSpace": _depth_to_space,
        "Dropout": _same,
        "Expand": _expand,
        "Flatten": _flatten,
        "Gather": _gather,
        "Identity": _same,
        "Pad": _pad,
        "Reshape": _reshape,
        "Shape": _shape,
        "Size": _size,
        "Slice": _slice,
        "SpaceToDepth": _space_to_depth,
        "Split": _split,
        "Squeeze": _squeeze,
        "Tile": _tile,
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
