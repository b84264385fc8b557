"""Convolutions, linear layers and products with constant matrices, of either front end, as window layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.frontends.transposed import transposed_window
from addersim.layers import Window
from addersim.layers.move import ZERO, Step, Take
from addersim.storage import stands_in

__all__ = ["convolution", "linear", "transposed"]

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


def convolution(
    graph: Graph,
    name: str,
    flow: Flow,
    weights: Array,
    bias: Array | None,
    *,
    stride: Sizes,
    near: Sizes,
    far: Sizes,
    dilation: Sizes,
    groups: int = 1,
    arithmetic: str = "mac",
    weight_bits: int | None = None,
) -> Flow:
    """A window over one or two spatial axes.

    Parameters
    ----------
    weights
        ``(filters, channels / groups, [height,] width)``.
    bias
        ``(filters,)`` or None.
    stride, near, far, dilation
        A number a spatial axis; padding before and after.
    arithmetic, weight_bits
        As `Window` has them.
    """
    own: dict[str, Any] = {"arithmetic": arithmetic, "weight_bits": weight_bits}
    axes = weights.ndim - 2
    if axes not in (1, 2) or flow.rank != axes + 1:
        raise LoweringError(
            f"a window of {max(axes, 0)} axes over values of shape {flow.shape}; supported are one axis over "
            "(channels, length) and two over (channels, height, width)"
        )
    if axes == 1:
        options: dict[str, Any] = {"stride": (1, *stride), "near": (0, *near), "far": (0, *far), "dilation": (1, *dilation)}
        row = weights[:, :, None]
        found = convolution(graph, name, flow.image(), row, bias, **options, groups=groups, **own)
        return found.like(flow)
    flow, near, far = _with_padding(flow, near, far)
    return graph.layer(
        Window,
        name,
        flow,
        **own,
        weights=_plain(weights),
        bias=None if bias is None else _plain(bias),
        stride=stride,
        padding=near,
        far_padding=None if far == near else far,
        dilation=dilation,
        groups=groups,
    )


def _plain(values: Array) -> Array:
    """Weights as layers hold them; stand-ins for weights that are missing stay as they are, and take no memory."""
    return values if stands_in(values) and values.dtype == np.float32 else np.ascontiguousarray(values, np.float32)


def _with_padding(flow: Flow, near: Sizes, far: Sizes) -> tuple[Flow, Sizes, Sizes]:
    """A value without the zeros last put around its pixels, and padding that has them, too."""
    before, after = list(near), list(far)
    while flow.steps:
        inner = Flow(flow.layer, flow.given, flow.steps[:-1])
        zeros = _zeros_around(flow.steps[-1], inner.shape)
        if zeros is None:
            break
        axis, front, behind = zeros
        before[axis - 1] += front
        after[axis - 1] += behind
        flow = inner
    return flow, tuple(before), tuple(after)


def _zeros_around(step: Step, given: Sizes) -> tuple[int, int, int] | None:
    """Axis of pixels and zeros before and after, of a step that puts zeros around all of them and does nothing else."""
    if not isinstance(step, Take) or step.axis not in (1, 2):
        return None
    inside = np.flatnonzero(step.indices != ZERO)
    if inside.size != given[step.axis] or not np.array_equal(step.indices[inside], np.arange(inside.size)):
        return None
    before, after = int(inside[0]), int(step.indices.size - 1 - inside[-1])
    return (step.axis, before, after) if before + inside.size + after == step.indices.size else None


def linear(graph: Graph, name: str, flow: Flow, weights: Array, bias: Array | None, arithmetic: str = "mac") -> Flow:
    """A product of the last axis by a matrix of shape ``(outputs, inputs)``, at every place of the other axes."""
    if weights.ndim != 2 or weights.shape[1] != flow.shape[-1]:
        raise LoweringError(f"multiplies the last axis of {flow.shape} by a matrix of shape {weights.shape}")
    filters = _plain(weights)[:, :, None, None]
    constant = None if bias is None else np.ascontiguousarray(np.broadcast_to(bias, weights.shape[:1]), np.float32)
    rest = flow.shape[:-1]
    if flow.rank > 1:
        flow = flow.front(flow.rank - 1).reshape((weights.shape[1], 1, math.prod(rest)))
    found = graph.layer(Window, name, flow, arithmetic=arithmetic, weights=filters, bias=constant)
    return found.reshape((len(weights), *rest)).back(len(rest)) if rest else found


def transposed(
    graph: Graph,
    name: str,
    flow: Flow,
    weights: Array,
    bias: Array | None,
    *,
    stride: Sizes,
    padding: Sizes,
    far_padding: Sizes | None = None,
    output_padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Flow:
    """A transposed convolution over one or two axes: zeros between the values, then a window, which pays for them.

    Parameters
    ----------
    weights
        ``(channels, filters / groups, [height,] width)``.
    """
    axes = weights.ndim - 2
    if axes not in (1, 2) or flow.rank != axes + 1:
        raise LoweringError(f"a transposed window of {max(axes, 0)} axes over values of shape {flow.shape}")
    names = {"stride": (stride, 1), "padding": (padding, 0), "output_padding": (output_padding, 0), "dilation": (dilation, 1)}
    settings = {key: given if axes == 2 else (one, *given) for key, (given, one) in names.items()}
    if far_padding is not None:
        settings["far_padding"] = far_padding if axes == 2 else (0, *far_padding)
    wide = flow.image()
    kernels = weights if axes == 2 else weights[:, :, None]
    size: Any = wide.shape[1:]
    turned = transposed_window(kernels, size, groups=groups, **settings)  # type: ignore[arg-type]
    seen = wide.take(1, np.array(turned.rows)).take(2, np.array(turned.columns))
    found = convolution(
        graph,
        name,
        seen,
        turned.weights,
        bias,
        stride=(1, 1),
        near=turned.padding,
        far=turned.far_padding,
        dilation=settings["dilation"],
        groups=groups,
    )
    return found.like(flow)
