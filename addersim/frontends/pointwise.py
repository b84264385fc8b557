"""Operations of either front end that treat every value, or every channel, alike; and those of two values."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.layers import Add, Affine, Clip, Layer, Product, Relu, Table
from addersim.layers.move import Take

__all__ = [
    "affine",
    "batch_norm",
    "binary",
    "clip",
    "each",
    "function",
    "image_free",
    "power",
    "scaled",
    "with_constant",
]

Array = np.ndarray[Any, Any]

PARTIAL = frozenset(
    {"sqrt", "rsqrt", "log", "log2", "log10", "log1p", "reciprocal", "power", "acos", "asin", "acosh", "atanh"}
)
"""Functions that are not defined for every number."""


def each(graph: Graph, name: str, flow: Flow, kind: type[Layer], *, keeps_zero: bool, **fields: Any) -> Flow:
    """A layer that treats every value alike: before any rearrangement that waits, unless that has put zeros in."""
    if flow.fills() and not keeps_zero:
        return graph.layer(kind, name, flow, **fields)
    return graph.beneath(kind, name, flow, **fields)


def function(graph: Graph, name: str, flow: Flow, what: str, *constants: float, slopes: Array | None = None) -> Flow:
    """A named function of one value; `slopes`: one a channel, the first axis."""
    fields: dict[str, Any] = {"function": what, "constants": tuple(float(one) for one in constants)}
    if slopes is None or slopes.size == 1:
        if slopes is not None:
            fields = {"function": "leaky_relu", "constants": (float(slopes.reshape(())),)}
        if what in PARTIAL and any(isinstance(step, Take) for step in flow.steps):
            return graph.layer(Table, name, flow, **fields)  # of what was left out it might give NaN
        return each(graph, name, flow, Table, keeps_zero=False, **fields)
    fields["slopes"] = np.ascontiguousarray(slopes.reshape(-1), np.float32)
    return _each_channel(graph, name, flow, Table, fields)


def _each_channel(graph: Graph, name: str, flow: Flow, kind: type[Layer], fields: dict[str, Any]) -> Flow:
    append = graph.beneath if flow.keeps_channels() else graph.layer
    return append(kind, name, flow, **fields)


def clip(graph: Graph, name: str, flow: Flow, low: float | None, high: float | None) -> Flow:
    """Values cut at one or both ends; a lower end of zero is a ReLU."""
    low = None if low is None or low == -math.inf else float(low)
    high = None if high is None or high == math.inf else float(high)
    if low is None and high is None:
        return flow
    if low == 0 and (high is None or high > 0):
        return each(graph, name, flow, Relu, keeps_zero=True, maximum=high)
    if low is not None and high is not None and low > high:
        low = high  # as torch: the upper end wins
    zero = (low is None or low <= 0) and (high is None or high >= 0)
    return each(graph, name, flow, Clip, keeps_zero=zero, low=low, high=high)


def scaled(graph: Graph, name: str, flow: Flow, multiplier: float, addend: float = 0.0) -> Flow:
    """``multiplier * x + addend``."""
    return affine(graph, name, flow, np.array(multiplier), np.array(addend))


def affine(graph: Graph, name: str, flow: Flow, multiplier: Array, addend: Array) -> Flow:
    """``multiplier * x + addend`` with constants as they broadcast against the value, which has no image axis."""
    constants = [np.asarray(one, np.float64) for one in np.broadcast_arrays(multiplier, addend)]
    shape = constants[0].shape
    if len(shape) > flow.rank:
        raise LoweringError(f"combines a constant of shape {shape} with values of shape {flow.shape}")
    shape = (1,) * (flow.rank - len(shape)) + shape
    constants = [one.reshape(shape) for one in constants]
    if any(size not in (1, have) and have != 1 for size, have in zip(shape, flow.shape, strict=True)):
        raise LoweringError(f"combines a constant of shape {shape} with values of shape {flow.shape}")
    wanted = tuple(max(pair) for pair in zip(shape, flow.shape, strict=True))
    flow = flow.expand(wanted)
    axes = [axis for axis in range(flow.rank) if any(_varies(one, axis) for one in constants)]
    if not axes:
        fields = {name: one.reshape(-1)[:1].copy() for name, one in zip(("multiplier", "addend"), constants, strict=True)}
        if fields["multiplier"][0] == 1 and fields["addend"][0] == 0:
            return flow
        return each(graph, name, flow, Affine, keeps_zero=not fields["addend"].any(), trained=0, **fields)
    if len(axes) == 1:
        fields = _along(constants, axes[0], wanted[axes[0]])
        return _each_channel(graph, name, flow.front(axes[0]), Affine, fields | {"trained": 0}).back(axes[0])
    words = math.prod(wanted)
    graph.take(16 * words)
    fields = {
        name: np.ascontiguousarray(np.broadcast_to(one, wanted)).reshape(-1)
        for name, one in zip(("multiplier", "addend"), constants, strict=True)
    }
    return graph.layer(Affine, name, flow.reshape((words,)), trained=0, **fields).reshape(wanted)


def _varies(values: Array, axis: int) -> bool:
    return values.shape[axis] > 1 and bool((values != values.take([0], axis)).any())


def _along(constants: list[Array], axis: int, size: int) -> dict[str, Array]:
    """Constants that vary along one axis only, as one value a position."""
    cut = [np.moveaxis(one, axis, 0).reshape(one.shape[axis], -1)[:, 0] for one in constants]
    both = [np.ascontiguousarray(np.broadcast_to(one, size), np.float64) for one in cut]
    return {"multiplier": both[0], "addend": both[1]}


def batch_norm(
    graph: Graph, name: str, flow: Flow, gamma: Array | None, beta: Array | None, mean: Array, variance: Array, epsilon: float
) -> Flow:
    """Batch norm at inference, on the first axis."""
    mean, variance = mean.astype(np.float64), variance.astype(np.float64)
    if mean.ndim != 1 or mean.shape != (flow.shape[0],) or variance.shape != mean.shape or (variance < 0).any():
        raise LoweringError(
            f"mean {mean.shape} and variance {variance.shape} for values of shape {flow.shape}; expected one a channel, "
            "and no negative variance"
        )
    trained = sum(one.size for one in (gamma, beta) if one is not None)
    multiplier = (1.0 if gamma is None else gamma.astype(np.float64)) / np.sqrt(variance + epsilon)
    addend = (0.0 if beta is None else beta.astype(np.float64)) - mean * multiplier
    return _each_channel(graph, name, flow, Affine, {"multiplier": multiplier, "addend": addend, "trained": trained})


Binary = Literal["add", "sub", "mul", "div", "max", "min"]


def binary(graph: Graph, name: str, what: Binary, first: Flow, second: Flow) -> Flow:
    """An operation of two values, axes of size 1 repeated where the other's is longer."""
    if first.rank != second.rank:
        raise LoweringError(
            f"combines values of shapes {first.shape} and {second.shape} beside the image axis; give both as many axes"
        )
    if what == "div":
        return binary(graph, name, "mul", first, function(graph, f"{name}.reciprocal", second, "reciprocal"))
    if what in ("max", "min"):  # max(a, b) = relu(a - b) + b, min(a, b) = a - relu(a - b)
        more = clip(graph, f"{name}.more", binary(graph, f"{name}.difference", "sub", first, second), 0.0, None)
        return binary(graph, name, "add", more, second) if what == "max" else binary(graph, name, "sub", first, more)
    kind: type[Layer] = Product if what == "mul" else Add
    fields = {"subtract": True} if what == "sub" else {}
    if first.steps and first.steps == second.steps and first.given == second.given:
        return graph.beneath(kind, name, first, second, **fields)
    return graph.layer(kind, name, first, second, **fields)


def image_free(values: Array, rank: int) -> Array:
    """A constant without the images' axis, where it has one (of size 1), to go with values of some axes."""
    if values.ndim == rank + 1:
        if values.shape[0] != 1:
            raise LoweringError(f"a constant of shape {values.shape} differs from image to image")
        return np.asarray(values[0])
    if values.ndim > rank + 1:
        raise LoweringError(f"a constant of shape {values.shape} has more axes than the values that it goes with")
    return values


def with_constant(graph: Graph, name: str, what: Binary, flow: Flow, constant: Array, swapped: bool = False) -> Flow:
    """An operation of a value and a constant, or, `swapped`, of a constant and a value."""
    constant = image_free(constant, flow.rank).astype(np.float64)
    one, zero = np.ones(1), np.zeros(1)
    if what in ("max", "min"):
        return _extreme(graph, name, what, flow, constant)
    if what == "add":
        return affine(graph, name, flow, one, constant)
    if what == "sub":
        return affine(graph, name, flow, *((-one, constant) if swapped else (one, -constant)))
    if what == "div" and swapped:
        flow = function(graph, f"{name}.reciprocal", flow, "reciprocal")
    elif what == "div":
        if not constant.all():
            raise LoweringError("division by zero")
        constant = 1 / constant
    return affine(graph, name, flow, constant, zero)


def _extreme(graph: Graph, name: str, what: Literal["max", "min"], flow: Flow, constant: Array) -> Flow:
    """The larger or smaller of a value and a constant: beside one number a clip, else a ReLU of their difference."""
    if constant.size == 1:
        number = float(constant.reshape(()))
        return clip(graph, name, flow, number if what == "max" else None, number if what == "min" else None)
    sign = 1.0 if what == "max" else -1.0
    more = affine(graph, f"{name}.difference", flow, np.array(sign), -sign * constant)
    return affine(graph, name, clip(graph, f"{name}.more", more, 0.0, None), np.array(sign), constant)


def power(graph: Graph, name: str, flow: Flow, exponent: float) -> Flow:
    """A value to a constant power."""
    named = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}
    if exponent == 1:
        return flow
    if exponent in named:
        return function(graph, name, flow, named[exponent])
    return function(graph, name, flow, "power", exponent)
