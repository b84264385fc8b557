"""Operations of either front end that only move values: concatenation, padding, cutting, repeating."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Border, Graph
from addersim.frontends.pointwise import affine
from addersim.layers import Concat
from addersim.layers.move import ZERO

__all__ = [
    "concatenate",
    "constant",
    "overwrite",
    "pad",
    "pad_with",
    "pixel_shuffle",
    "pixel_unshuffle",
    "positions",
    "repeat",
]

Array = np.ndarray[Any, Any]
Fill = Literal["constant", "reflect", "replicate", "circular"]

BELOW_ALL = -65504.0
"""The lowest number of float16. Whoever pads with it, or with less, before a maximum, means a border that never wins."""


def positions(size: int, start: int | None, stop: int | None, step: int) -> Array:
    """What a slice takes of an axis, with Python's rules for ends beyond it."""
    return np.arange(size)[slice(start, stop, step)]


def concatenate(graph: Graph, name: str, parts: Sequence[Flow | Array], axis: int) -> Flow:
    """Values and constants joined along an axis; constants have no image axis, or shape 1 there."""
    flows = [part for part in parts if isinstance(part, Flow)]
    if len(flows) == 1 and all(isinstance(part, Flow) or not part.any() for part in parts):
        return _with_zeros(flows[0], parts, axis)
    placed = [part if isinstance(part, Flow) else constant(graph, name, flows[0], part) for part in parts]
    shapes = {part.shape[:axis] + part.shape[axis + 1 :] for part in placed}
    if len(shapes) != 1:
        raise LoweringError(f"joins {', '.join(str(part.shape) for part in placed)} along axis {axis + 1}")
    return graph.layer(Concat, name, *(part.front(axis) for part in placed)).back(axis)


def _with_zeros(flow: Flow, parts: Sequence[Flow | Array], axis: int) -> Flow:
    found = [np.arange(flow.shape[axis]) if isinstance(part, Flow) else np.full(part.shape[axis], ZERO) for part in parts]
    return flow.take(axis, np.concatenate(found))


def constant(graph: Graph, name: str, like: Flow, values: Array) -> Flow:
    """A constant as a value: zeros in place of what is computed from any other, plus the constant."""
    zeros = like.reshape((math.prod(like.shape),)).take(0, np.full(math.prod(values.shape), ZERO)).reshape(values.shape)
    return affine(graph, f"{name}.constant", zeros, np.ones(1), values)


def overwrite(graph: Graph, name: str, flow: Flow, values: Flow | Array, axis: int, places: Array) -> Flow:
    """A value with those at some places of an axis exchanged for others."""
    size = flow.shape[axis]
    indices = np.arange(size)
    indices[places] = size + np.arange(len(places))
    return concatenate(graph, name, [flow, values], axis).take(axis, indices)


def pad(flow: Flow, pads: Sequence[tuple[int, int]], mode: Fill = "constant") -> Flow:
    """Positions added before and after each axis, or, where negative, cut off."""
    for axis, (before, after) in enumerate(pads):
        if before or after:
            flow = flow.take(axis, _padded(flow.shape[axis], before, after, mode))
    return flow


def _padded(size: int, before: int, after: int, mode: Fill) -> Array:
    cut = np.arange(max(0, -before), size - max(0, -after))
    edges = (max(0, before), max(0, after))
    if not cut.size:
        raise LoweringError(f"pads {before} and {after} cut off all {size} positions of an axis")
    if mode == "constant":
        return np.pad(cut, edges, constant_values=ZERO)
    if mode == "reflect" and max(edges) >= cut.size:
        raise LoweringError(f"reflects {max(edges)} positions at an end of {cut.size}; fewer than the axis has are allowed")
    named: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return np.pad(cut, edges, mode=named[mode])


def repeat(flow: Flow, times: Sequence[int]) -> Flow:
    """Each axis tiled some times."""
    for axis, number in enumerate(times):
        if number != 1:
            flow = flow.take(axis, np.tile(np.arange(flow.shape[axis]), number))
    return flow


def pixel_shuffle(flow: Flow, factor: int) -> Flow:
    """``(channels x factor^2, height, width)`` to ``(channels, height x factor, width x factor)``, as torch orders them."""
    channels, height, width = flow.shape
    parts = flow.reshape((channels // factor**2, factor, factor, height, width))
    return parts.permute((0, 3, 1, 4, 2)).reshape((channels // factor**2, height * factor, width * factor))


def pixel_unshuffle(flow: Flow, factor: int) -> Flow:
    """The way back."""
    channels, height, width = flow.shape
    parts = flow.reshape((channels, height // factor, factor, width // factor, factor))
    return parts.permute((0, 2, 4, 1, 3)).reshape((channels * factor**2, height // factor, width // factor))


def pad_with(graph: Graph, name: str, flow: Flow, pads: Sequence[tuple[int, int]], value: float) -> Flow:
    """Positions of a number around the values, or, where negative, cut off: zeros, and a constant added there alone."""
    if math.isnan(value) or value == math.inf:
        raise LoweringError(f"pads with {value}; only finite numbers have codes, and minus infinity before a max pool")
    cut = pad(flow, [(min(before, 0), min(after, 0)) for before, after in pads])
    added = [(max(before, 0), max(after, 0)) for before, after in pads]
    if not any(map(any, added)):
        return cut
    if value == -math.inf:
        return graph.surrounded(name, _border(graph, cut, added))
    padded = pad(cut, added)
    if not value:
        return padded
    around = np.full(padded.shape, value)
    around[tuple(slice(before, before + size) for (before, _), size in zip(added, cut.shape, strict=True))] = 0.0
    found = affine(graph, name, padded, np.ones(1), around)
    if value <= BELOW_ALL:
        graph.borders[found] = _border(graph, cut, added)
    return found


def _border(graph: Graph, flow: Flow, pads: Sequence[tuple[int, int]]) -> Border:
    """What lies around a value, with the border that it has already."""
    known = graph.border_of(flow) or Border(flow, ((0, 0),) * flow.rank)
    both = zip(known.pads, pads, strict=True)
    return Border(known.inside, tuple((one + more, two + further) for (one, two), (more, further) in both))
