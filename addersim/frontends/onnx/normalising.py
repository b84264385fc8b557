"""Sums, means and extremes over axes, norms and softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends import pointwise, reductions
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Call, Number, Sizes
from addersim.frontends.onnx.file import Array
from addersim.layers import AveragePool

__all__ = ["OPERATORS"]

Row = Callable[[Call], Any]


def _settings(call: Call) -> tuple[Sizes, bool]:
    """Axes and whether they stay with size 1."""
    axes = call.whole_numbers(1, "axes")
    if not axes and call.attribute("noop_with_empty_axes", 0):
        return (), True
    return call.axes(axes or None), bool(call.attribute("keepdims", 1))


def _reduced(call: Call, name: str, what: reductions.Reduction, flow: Flow) -> Flow | Number:
    axes, keep = _settings(call)
    found = reductions.reduce(call.graph, name, what, flow, axes, keep)
    return found if keep or len(set(axes)) < flow.rank else Number(found)


def _reduce(what: reductions.Reduction, before: str = "", after: str = "") -> Row:
    """A reduction with functions of one value around it."""

    def row(call: Call) -> Flow | Number:
        call.only("axes", "keepdims", "noop_with_empty_axes")
        flow, graph = call.flow(), call.graph
        if before:
            flow = pointwise.function(graph, f"{call.name}.{before}", flow, before)
        found = _reduced(call, f"{call.name}.{what}" if after else call.name, what, flow)
        if not after:
            return found
        if isinstance(found, Number):
            return Number(pointwise.function(graph, call.name, found.flow, after))
        return pointwise.function(graph, call.name, found, after)

    return row


def _batch_norm(call: Call) -> Flow:
    call.only("epsilon", "momentum", training_mode=0, spatial=1, is_test=1)
    gamma, beta, mean, variance = (
        call.constant(place, name) for place, name in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    if len({one.shape for one in (gamma, beta, mean, variance)}) != 1:
        call.fail(f"scale, bias, mean and variance of shapes {[one.shape for one in (gamma, beta, mean, variance)]}")
    epsilon = call.attribute("epsilon", 1e-5)
    return pointwise.batch_norm(call.graph, call.name, call.flow(), gamma, beta, mean, variance, epsilon)


def _gained(call: Call, flow: Flow, gain: Array | None, bias: Array | None) -> Flow:
    if gain is None and bias is None:
        return flow
    multiplier = np.ones(1) if gain is None else pointwise.image_free(gain, flow.rank)
    addend = np.zeros(1) if bias is None else pointwise.image_free(bias, flow.rank)
    return pointwise.affine(call.graph, f"{call.name}.gain", flow, multiplier, addend)


def _by_channel(call: Call, flow: Flow, channels: int) -> tuple[Array, Array]:
    """Scale and bias, one a channel, to go with values."""
    found = []
    for place, name in ((1, "scale"), (2, "bias")):
        values = call.constant(place, name)
        if values.shape != (channels,):
            call.fail(f"{name} of shape {values.shape}; expected ({channels},)")
        found.append(np.repeat(values, flow.shape[0] // channels).reshape(-1, *[1] * (flow.rank - 1)))
    return found[0], found[1]


def _instance_norm(call: Call) -> Flow:
    call.only("epsilon", "consumed_inputs")
    flow = call.flow()
    found = reductions.normalise_groups(call.graph, call.name, flow, flow.shape[0], call.attribute("epsilon", 1e-5))
    return _gained(call, found, *_by_channel(call, flow, flow.shape[0]))


def _group_norm(call: Call) -> Flow:
    call.only("epsilon", "num_groups", "stash_type")
    flow, groups = call.flow(), call.attribute("num_groups", 0)
    if groups < 1 or flow.shape[0] % groups:
        call.fail(f"num_groups {groups} for {flow.shape[0]} channels; expected a number that divides them")
    found = reductions.normalise_groups(call.graph, call.name, flow, groups, call.attribute("epsilon", 1e-5))
    return _gained(call, found, *_by_channel(call, flow, groups if call.opset < 21 else flow.shape[0]))


def _layer_norm(centred: bool) -> Row:
    def row(call: Call) -> Flow:
        call.only("axis", "epsilon", "stash_type")
        flow = call.flow()
        axes = tuple(range(call.axis(call.attribute("axis", -1)), flow.rank))
        found = reductions.normalise(call.graph, call.name, flow, axes, call.attribute("epsilon", 1e-5), centred=centred)
        return _gained(call, found, call.optional(1, "scale"), call.optional(2, "bias") if centred else None)

    return row


def _mean_variance(call: Call) -> Flow:
    call.only("axes")
    axes = call.axes(call.attribute("axes", (0, 2, 3)))
    return reductions.normalise(call.graph, call.name, call.flow(), axes, 1e-18)


def _length(call: Call) -> Flow:
    """Values over their length along one axis."""
    call.only("axis", "p")
    flow, kind = call.flow(), call.attribute("p", 2)
    axes = (call.axis(call.attribute("axis", -1)),)
    if kind not in (1, 2):
        call.fail(f"attribute p: {kind} is not 1 or 2")
    parts = pointwise.function(call.graph, f"{call.name}.parts", flow, "abs" if kind == 1 else "square")
    total = reductions.reduce(call.graph, f"{call.name}.sum", "sum", parts, axes, True)
    if kind == 1:
        return pointwise.binary(call.graph, call.name, "div", flow, total)
    return pointwise.binary(
        call.graph, call.name, "mul", flow, pointwise.function(call.graph, f"{call.name}.root", total, "rsqrt")
    )


def _local_response(call: Call) -> Flow:
    """Values over a power of the mean square of their neighbours along the channels."""
    call.only("alpha", "beta", "bias", "size")
    flow, size, graph, name = call.flow(), call.attribute("size", 0), call.graph, call.name
    if not 0 < size <= 2 * flow.shape[0]:
        call.fail(f"attribute size: {size}; expected 1..{2 * flow.shape[0]}, for {flow.shape[0]} channels")
    squares = pointwise.function(graph, f"{name}.squares", flow, "square")
    last = squares.permute((*range(1, flow.rank), 0))
    rows = last.reshape((int(np.prod(last.shape[:-1])), 1, last.shape[-1]))
    window: dict[str, Any] = {"kernel": (1, size), "stride": (1, 1), "divisor": 1}
    pads = {"padding": (0, (size - 1) // 2), "far_padding": (0, size - 1 - (size - 1) // 2)}
    sums = graph.layer(AveragePool, f"{name}.sums", rows, **window, **pads)
    alpha, bias = call.attribute("alpha", 1e-4), call.attribute("bias", 1.0)
    mean = pointwise.scaled(graph, f"{name}.mean", sums.reshape(last.shape).front(flow.rank - 1), alpha / size, bias)
    factor = pointwise.power(graph, f"{name}.factor", mean, -call.attribute("beta", 0.75))
    return pointwise.binary(graph, name, "mul", flow, factor)


def _softmax(log: bool) -> Row:
    def row(call: Call) -> Flow:
        call.only("axis")
        flow = call.flow()
        axis = call.axis(call.attribute("axis", 1 if call.opset < 13 else -1))
        if call.opset >= 13:
            return reductions.softmax(call.graph, call.name, flow, axis, log=log)
        # Older versions take all axes from this one on as one.
        rows = flow.reshape((*flow.shape[:axis], int(np.prod(flow.shape[axis:]))))
        return reductions.softmax(call.graph, call.name, rows, axis, log=log).reshape(flow.shape)

    return row


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "ReduceMean": _reduce("mean"),
        "ReduceSum": _reduce("sum"),
        "ReduceMax": _reduce("max"),
        "ReduceMin": _reduce("min"),
        "ReduceL1": _reduce("sum", before="abs"),
        "ReduceL2": _reduce("sum", before="square", after="sqrt"),
        "ReduceSumSquare": _reduce("sum", before="square"),
        "ReduceLogSum": _reduce("sum", after="log"),
        "BatchNormalization": _batch_norm,
        "InstanceNormalization": _instance_norm,
        "GroupNormalization": _group_norm,
        "LayerNormalization": _layer_norm(True),
        "RMSNormalization": _layer_norm(False),
        "MeanVarianceNormalization": _mean_variance,
        "LpNormalization": _length,
        "LRN": _local_response,
        "Softmax": _softmax(False),
        "LogSoftmax": _softmax(True),
    }
)
