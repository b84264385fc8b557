"""Sums, means and extremes over axes, of either front end, as pooling layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from addersim.arithmetic.geometry import Geometry
from addersim.errors import LoweringError, NetworkError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Border, Graph
from addersim.frontends.pointwise import binary, function, scaled
from addersim.layers import AveragePool, Interpolate, Layer, MaxPool, Normalise, Softmax
from addersim.layers.interpolate import Taps

__all__ = ["adaptive", "normalise", "normalise_groups", "pooled", "reduce", "resized", "softmax", "variance"]

Array = np.ndarray[Any, Any]

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
    kind: type[Layer] = MaxPool if what == "max" else AveragePool
    found = graph.layer(kind, name, flow, **({"divisor": 1} if what == "sum" else {}))
    return found.reshape(kept or (1,))


def pooled(graph: Graph, name: str, kind: type[Layer], flow: Flow, **fields: Any) -> Flow:
    """A pooling layer over one or two spatial axes; settings of one axis have one number each."""
    if flow.rank not in (2, 3):
        raise LoweringError(f"pools values of shape {flow.shape}; supported are (channels, length), (channels, height, width)")
    if flow.rank == 2:
        fields = {key: _with_row(key, value) for key, value in fields.items()}
    border = graph.border_of(flow) if kind is MaxPool else None
    inside, moves = _within(border, flow, fields) if border else (flow, fields)
    return graph.layer(kind, name, inside.image(), **moves).like(flow)


def _within(border: Border, padded: Flow, fields: dict[str, Any]) -> tuple[Flow, dict[str, Any]]:
    """Values without the border that never wins, and a maximum over them in whose padding it lies; where a window would meet
    nothing else, or channels are padded, all as it was.
    """
    channels, *around = border.pads
    (top, bottom), (left, right) = [(0, 0)] * (2 - len(around)) + around
    near, far = fields["padding"], fields.get("far_padding") or fields["padding"]
    own: dict[str, Any] = {"padding": (near[0] + top, near[1] + left), "far_padding": (far[0] + bottom, far[1] + right)}
    kernel, stride = fields["kernel"], fields["stride"]
    dilation, ceil_mode = fields.get("dilation", (1, 1)), fields.get("ceil_mode", False)
    wide = Geometry(kernel, stride, near, dilation, ceil_mode=ceil_mode, far_padding=far)
    try:
        found = Geometry(kernel, stride, dilation=dilation, ceil_mode=ceil_mode, **own).pooled_size(
            *border.inside.image().shape[1:]
        )
    except NetworkError:
        return padded, fields
    same = found == wide.output_size(*padded.image().shape[1:])
    return (border.inside, fields | own) if same and channels == (0, 0) else (padded, fields)


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
    own = flow.image()
    if kind is AveragePool and wide == (1, 1):
        found = graph.layer(kind, name, own, kernel=None)
    elif all(size % wanted == 0 for size, wanted in zip(own.shape[1:], wide, strict=True)):
        kernel = tuple(size // wanted for size, wanted in zip(own.shape[1:], wide, strict=True))
        found = graph.layer(kind, name, own, kernel=kernel, stride=kernel)
    else:
        found = graph.layer(kind, name, own, output_size=wide)
    return found.like(flow)


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


def resized(graph: Graph, name: str, flow: Flow, matrices: Sequence[Array]) -> Flow:
    """Linear resizing along each spatial axis, by what each of its outputs is of its inputs.

    Parameters
    ----------
    matrices
        Of an axis, ``(inputs, outputs)``: columns that add up to one, with two neighbours at most that are not zero.
    """
    return graph.layer(Interpolate, name, flow, axes=tuple(_taps(one) for one in matrices))


def _taps(matrix: Array) -> Taps:
    first, second, share = [], [], []
    for column in matrix.T:
        places = np.flatnonzero(column)
        if not 1 <= len(places) <= 2 or abs(float(column.sum()) - 1) > 1e-6 or (column < 0).any():
            raise LoweringError("resizes by more than two inputs an output; linear and nearest are supported")
        first.append(int(places[0]))
        second.append(int(places[-1]))
        share.append(float(min(1.0, column[places[-1]] / column.sum())) if len(places) == 2 else 0.0)
    return Taps(first=tuple(first), second=tuple(second), share=tuple(share))


def normalise(graph: Graph, name: str, flow: Flow, axes: Sequence[int], epsilon: float, centred: bool = True) -> Flow:
    """Values less their mean over axes, over their spread there; not `centred`: over their root mean square."""
    rest = [axis for axis in range(flow.rank) if axis not in axes]
    order = (*rest, *axes)
    found = graph.layer(Normalise, name, flow.permute(order), kept=len(rest), epsilon=epsilon, centre=centred)
    return found.permute(tuple(int(place) for place in np.argsort(order)))


def normalise_groups(graph: Graph, name: str, flow: Flow, groups: int, epsilon: float) -> Flow:
    """The same over each of some equal parts of the first axis, and over all others."""
    parts = flow.reshape((groups, math.prod(flow.shape) // groups))
    return normalise(graph, name, parts, (1,), epsilon).reshape(flow.shape)


def softmax(graph: Graph, name: str, flow: Flow, axis: int, log: bool = False) -> Flow:
    """Exponentials over their sum along an axis, or the logarithm of that."""
    return graph.layer(Softmax, name, flow.front(axis), axis=0, log=log).back(axis)
