"""Resizing of either front end: each position of an axis is one position of the input's, or two of them with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.frontends.pointwise import affine, binary

__all__ = ["coordinates", "linear", "nearest"]

Array = np.ndarray[Any, Any]


def coordinates(mode: str, size: int, wanted: int, scale: float) -> Array:
    """Where each output position lies on the input's axis, by the name that ONNX has for the rule."""
    places = np.arange(wanted, dtype=np.float64)
    exact = scale * size
    match mode:
        case "half_pixel":
            return (places + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (places + 0.5) / scale - 0.5 if wanted > 1 else np.zeros(1)
        case "half_pixel_symmetric":
            return size / 2 * (1 - wanted / exact) + (places + 0.5) / scale - 0.5
        case "asymmetric":
            return places / scale
        case "align_corners":
            return places * (size - 1) / (exact - 1) if exact != 1 and wanted > 1 else np.zeros(wanted)
        case "tf_half_pixel_for_nn":
            return (places + 0.5) / scale
    raise LoweringError(f"coordinate_transformation_mode {mode!r} is not supported")


def nearest(flow: Flow, axis: int, places: Array, rounding: str) -> Flow:
    """The position nearest to each place; `rounding` as ONNX calls it."""
    match rounding:
        case "round_prefer_floor":
            found = np.ceil(places - 0.5)
        case "round_prefer_ceil":
            found = np.floor(places + 0.5)
        case "floor":
            found = np.floor(places)
        case "ceil":
            found = np.ceil(places)
        case _:
            raise LoweringError(f"nearest_mode {rounding!r} is not supported")
    return flow.take(axis, np.clip(found, 0, flow.shape[axis] - 1).astype(np.int64))


def linear(graph: Graph, name: str, flow: Flow, axis: int, places: Array) -> Flow:
    """A straight line between the two positions around each place; beyond the ends the last one."""
    size = flow.shape[axis]
    places = np.clip(places, 0, size - 1)
    before = np.floor(places).astype(np.int64)
    share = (places - before).reshape(-1, *[1] * (flow.rank - 1 - axis))
    first = flow.take(axis, before)
    if not share.any():
        return first
    second = flow.take(axis, np.minimum(before + 1, size - 1))
    parts = [
        affine(graph, f"{name}.{which}", part, weight, np.zeros(1))
        for which, part, weight in (("before", first, 1 - share), ("after", second, share))
    ]
    return binary(graph, name, "add", parts[0], parts[1])
