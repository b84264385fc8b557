"""Sums, means and extremes over axes, of either front end, as pooling layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.frontends.pointwise import binary, function, scaled
from addersim.layers import AveragePool, Layer, MaxPool

__all__ = ["adaptive", "normalise", "normalise_groups", "pooled", "reduce", "softmax", "variance"]

Reduction = Literal["mean", "sum", "max", "min"]


def reduce(graph: Graph, name: str, what: Reduction, flow: Flow, axes: Sequence[int], keep: bool) -> Flow:
    """Mean, sum or extreme over axes, which stay with size 1 or go."""
    axes = sorted(set(axes))
    rest = [axis for axis in range(flow.rank) if axis not in axes]
    shape = flow.shape
    kept = (
        tuple(1 if axis in axes else size for axis, size in enumerate(shape)) if keep else tuple(shape[axis] for axis in rest)
    )
    if not axes:
        return flow
    if what == "min":
        return scaled(
            graph, name, reduce(graph, f"{name}.max", "max", scaled(graph, f"{name}.minus", flow, -1), axes, keep), -1
        )
    if (flow.rank, axes) != (3, [1, 2]):
        rows = math.prod(shape[axis] for axis in axes)
        flow = flow.permute((*rest, *axes)).reshape((math.prod(shape[axis] for axis in rest), 1, rows))
    whole: tuple[int, int] = flow.shape[1:]  # type: ignore[assignment]
    if what == "max":
        found = graph.layer(MaxPool, name, flow, kernel=whole, stride=whole)
    else:
        found = graph.layer(AveragePool, name, flow, kernel=None, **({"divisor": 1} if what == "sum" else {}))
    return found.reshape(kept or (1,))


def pooled(graph: Graph, name: str, kind: type[Layer], flow: Flow, **fields: Any) -> Flow:
    """A pooling layer over one or two spatial axes; settings of one axis have one number each."""
    if flow.rank == 2:
        channels, length = flow.shape
        wide = {key: _with_row(key, value) for key, value in fields.items()}
        found = graph.layer(kind, name, flow.reshape((channels, 1, length)), **wide)
        return found.reshape((channels, found.shape[2]))
    if flow.rank != 3:
        raise LoweringError(f"pools values of shape {flow.shape}; supported are (channels, length), (channels, height, width)")
    return graph.layer(kind, name, flow, **fields)


def _with_row(key: str, value: Any) -> Any:
    """A setting of one axis as that of two, the first of them a single row."""
    if not isinstance(value, tuple):
        return value
    return (0 if "padding" in key else 1, *value)


def adaptive(graph: Graph, name: str, kind: type[Layer], flow: Flow, output: tuple[int, ...]) -> Flow:
    """Pooling to a size: as few windows as give it."""
    if output == flow.shape[1:]:
        return flow
    wide = output if len(output) == 2 else (1, *output)
    own = flow if flow.rank == 3 else flow.reshape((flow.shape[0], 1, flow.shape[1]))
    if kind is AveragePool and wide == (1, 1):
        found = graph.layer(kind, name, own, kernel=None)
    elif all(size % wanted == 0 for size, wanted in zip(own.shape[1:], wide, strict=True)):
        kernel = tuple(size // wanted for size, wanted in zip(own.shape[1:], wide, strict=True))
        found = graph.layer(kind, name, own, kernel=kernel, stride=kernel)
    else:
        found = graph.layer(kind, name, own, output_size=wide)
    return found if flow.rank == 3 else found.reshape((flow.shape[0], found.shape[2]))


def variance(graph: Graph, name: str, flow: Flow, axes: Sequence[int], keep: bool, correction: float) -> Flow:
    """Mean square distance from the mean, over one value less for each of `correction`."""
    mean = reduce(graph, f"{name}.mean", "mean", flow, axes, True)
    distance = binary(graph, f"{name}.distance", "sub", flow, mean)
    squares = function(graph, f"{name}.squares", distance, "square")
    found = reduce(graph, name, "mean", squares, axes, keep)
    count = math.prod(flow.shape[axis] for axis in axes)
    if count <= correction:
        raise LoweringError(f"variance of {count} values with a correction of {correction}")
    return scaled(graph, f"{name}.correction", found, count / (count - correction)) if correction else found


def normalise(
    graph: Graph, name: str, flow: Flow, axes: Sequence[int], epsilon: float, *, centred: bool = True, outside: bool = False
) -> Flow:
    """Values over their root mean square along axes, about their mean where `centred`.

    `outside` adds epsilon to the root instead of to what is under it.
    """
    distance = flow
    if centred:
        mean = reduce(graph, f"{name}.mean", "mean", flow, axes, True)
        distance = binary(graph, f"{name}.distance", "sub", flow, mean)
    squares = function(graph, f"{name}.squares", distance, "square")
    spread = reduce(graph, f"{name}.spread", "mean", squares, axes, True)
    if outside:
        root = scaled(graph, f"{name}.root.epsilon", function(graph, f"{name}.root", spread, "sqrt"), 1.0, epsilon)
        return binary(graph, name, "div", distance, root)
    spread = scaled(graph, f"{name}.spread.epsilon", spread, 1.0, epsilon)
    return binary(graph, name, "mul", distance, function(graph, f"{name}.root", spread, "rsqrt"))


def normalise_groups(graph: Graph, name: str, flow: Flow, groups: int, epsilon: float) -> Flow:
    """Groups of channels, each normalised as a whole."""
    if groups < 1 or flow.shape[0] % groups:
        raise LoweringError(f"{groups} groups of {flow.shape[0]} channels")
    parts = flow.reshape((groups, math.prod(flow.shape) // groups))
    return normalise(graph, name, parts, (1,), epsilon).reshape(flow.shape)


def softmax(graph: Graph, name: str, flow: Flow, axis: int, *, log: bool = False) -> Flow:
    """Exponentials over their sum along an axis, or the logarithm of that."""
    largest = reduce(graph, f"{name}.max", "max", flow, (axis,), True)
    below = binary(graph, f"{name}.below", "sub", flow, largest)
    powers = function(graph, f"{name}.exp", below, "exp")
    total = reduce(graph, f"{name}.sum", "sum", powers, (axis,), True)
    if log:
        return binary(graph, name, "sub", below, function(graph, f"{name}.log", total, "log"))
    return binary(graph, name, "div", powers, total)
