"""Resizing in ONNX: each position of an axis is one position of the input's, or two of them with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow

__all__ = ["linear", "nearest", "places_of"]

Array = np.ndarray[Any, Any]


def places_of(mode: str, size: int, wanted: int, scale: float) -> Array:
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


def linear(size: int, places: Array) -> Array:
    """What each place is of an axis of a size, ``(inputs, outputs)``: of two neighbours; beyond the ends the last one."""
    places = np.clip(places, 0, size - 1)
    before = np.floor(places).astype(np.int64)
    found = np.zeros((size, len(places)))
    outputs = np.arange(len(places))
    found[before, outputs] = 1 - (places - before)
    found[np.minimum(before + 1, size - 1), outputs] += places - before
    return found
