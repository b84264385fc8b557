"""Operators that only move, name or pad values, and softmax, which does not change the choice of a class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from addersim.frontends.onnx.call import Call, Flow
from addersim.frontends.onnx.file import Array
from addersim.frontends.onnx.folding import BATCH, axes_of
from addersim.layers import Move, Shape

__all__ = ["cast", "flatten", "pad", "reshape", "same", "shape", "softmax", "squeeze", "transpose", "unsqueeze"]


def flatten(call: Call) -> Flow:
    call.only(known=("axis",))
    flow = call.flow()
    axis = call.attribute("axis", 1)
    if axis not in (1, -len(flow.shape)):
        call.fail(f"attribute axis: {axis} is not supported; only 1, which keeps the images apart")
    return _move(call, flow, (-1,))


def reshape(call: Call) -> Flow:
    call.only(known=("allowzero",))
    flow, target = call.flow(), [int(one) for one in call.constant(1, "the shape").reshape(-1)]
    rest = [
        flow.shape[place] if size == 0 and place < len(flow.shape) and not call.attribute("allowzero", 0) else size
        for place, size in enumerate(target[1:])
    ]
    shown = ["batch" if size == BATCH else size for size in target]
    if (
        len(target) < 2
        or target[0] not in (0, -1, BATCH, call.batch)
        or (target[0] == -1 and -1 in rest)
        or min(rest) < -1
        or 0 in rest
    ):
        call.fail(f"to {shown} is not supported; the first size must be the batch, the others sizes or one -1")
    return _move(call, flow, tuple(rest))


def _move(call: Call, flow: Flow, target: Shape) -> Flow:
    return flow if target in (flow.shape, (-1,)) and len(flow.shape) == len(target) else call.layer(Move, flow, target=target)


def squeeze(call: Call) -> Flow:
    call.only(known=("axes",))
    flow, axes = call.flow(), axes_of(call.node, list(call.inputs))
    rank = len(flow.shape) + 1
    places = {axis % rank for axis in axes} if axes else set(range(1, rank))
    if 0 in places or any(flow.shape[place - 1] != 1 for place in places if place):
        call.fail(f"squeezes axes {sorted(places)} of batch x {flow.shape}; only axes of size 1 after the batch")
    return _move(call, flow, tuple(size for place, size in enumerate(flow.shape, 1) if place not in places))


def unsqueeze(call: Call) -> Flow:
    call.only(known=("axes",))
    flow, axes = call.flow(), axes_of(call.node, list(call.inputs)) or ()
    rank = len(flow.shape) + 1 + len(axes)
    places = {axis % rank for axis in axes}
    if 0 in places or len(places) != len(axes):
        call.fail(f"puts axes {axes} into batch x {flow.shape}; only after the batch")
    sizes = iter(flow.shape)
    return _move(call, flow, tuple(1 if place in places else next(sizes) for place in range(1, rank)))


def transpose(call: Call) -> Flow:
    call.only(known=("perm",))
    flow = call.flow()
    order = call.attribute("perm", tuple(reversed(range(len(flow.shape) + 1))))
    moved = [axis for axis in order if axis == 0 or flow.shape[axis - 1] != 1] if set(order) == set(range(len(order))) else []
    if len(order) != len(flow.shape) + 1 or order[0] != 0 or moved != sorted(moved):
        call.fail(f"perm {order} moves values; values are batch x channels x height x width from the input on")
    return _move(call, flow, tuple(flow.shape[axis - 1] for axis in order[1:]))


def pad(call: Call) -> Flow:
    call.only(known=("pads", "value"), mode="constant")
    flow = call.flow(padded=True)
    given = call.node.attributes["pads"] if "pads" in call.node.attributes else tuple(call.constant(1, "pads").tolist())
    axes, value = call.optional(3, "axes"), call.number(2, "value", 0.0)
    rank = len(flow.shape) + 1
    places = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes.reshape(-1)]
    if not isinstance(given, tuple) or len(given) != 2 * len(places):
        call.fail(f"pads {given} for {len(places)} axes; expected a number before and one after each")
    pads = dict.fromkeys(range(rank), (0, 0)) | dict(
        zip(places, zip(given[: len(places)], given[len(places) :], strict=True), strict=True)
    )
    if rank != 4 or value != 0 or any(any(pads[axis]) for axis in (0, 1)) or min(given) < 0:
        call.fail(f"pads {given} with {value:g}; only zeros around height and width, at least 0 of them")
    added = (pads[2][0], pads[3][0], pads[2][1], pads[3][1])
    return replace(flow, pads=tuple(a + b for a, b in zip(flow.pads, added, strict=True)))


def same(call: Call) -> Flow:
    """Identity, and Dropout at inference."""
    call.only(known=("ratio", "seed"))
    call.one_output()
    training = call.optional(2, "training_mode") if call.node.operator == "Dropout" else None
    if training is not None and training.any():
        call.fail("training_mode is true; only inference is supported")
    return call.flow(padded=True)


def cast(call: Call) -> Flow:
    call.only(known=("to", "saturate"))
    if call.attribute("to", 0) not in (1, 10, 11):  # FLOAT, FLOAT16, DOUBLE
        call.fail(f"to type {call.attribute('to', 0)}; values that depend on the image are floats")
    return call.flow(padded=True)


def softmax(call: Call) -> Flow:
    call.only(known=("axis",))
    flow = call.flow()
    axis = call.attribute("axis", 1)
    if len(flow.shape) != 1 or axis not in (1, -1):
        call.fail(f"over axis {axis} of {flow.shape}; only over the scores, at the end")
    return replace(flow, ended=call.node.name)


def shape(call: Call) -> Array:
    call.only(known=("start", "end"))
    flow = call.flow()
    sizes = np.array([BATCH, *flow.shape], np.int64)
    return sizes[call.attribute("start", 0) : call.attribute("end", len(sizes))]
