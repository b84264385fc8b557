"""Resize and Upsample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.frontends import reductions
from addersim.frontends.flow import Flow
from addersim.frontends.onnx import coordinates
from addersim.frontends.onnx.call import Call
from addersim.frontends.onnx.constants import BATCH

__all__ = ["OPERATORS"]


def _upsample(call: Call) -> Flow:
    call.only("mode", "scales", "height_scale", "width_scale")
    scales = call.node.attributes.get("scales")
    given = call.optional(1, "scales")
    numbers = tuple(scales) if scales is not None else tuple(map(float, given.reshape(-1))) if given is not None else ()
    return _resized(call, _scaled(call, numbers), "asymmetric", "floor")


def _resize(call: Call) -> Flow:
    call.only(
        "coordinate_transformation_mode",
        "cubic_coeff_a",
        "mode",
        "nearest_mode",
        "axes",
        "keep_aspect_ratio_policy",
        "antialias",
        "extrapolation_value",
        exclude_outside=0,
    )
    if call.opset < 11:
        return _resized(call, _scaled(call, tuple(map(float, call.constant(1, "scales").reshape(-1)))), "asymmetric", "floor")
    place = call.attribute("coordinate_transformation_mode", "half_pixel")
    sizes, scales = call.whole_numbers(3, "sizes"), call.optional(2, "scales")
    wanted = (
        _sized(call, sizes) if sizes else _scaled(call, tuple(map(float, scales.reshape(-1))) if scales is not None else ())
    )
    if call.attribute("antialias", 0) and any(scale < 1 for _, scale in wanted):
        call.fail("makes values smaller with antialias, which is not supported")
    return _resized(call, wanted, place, call.attribute("nearest_mode", "round_prefer_floor"))


Wanted = list[tuple[int, float]]
"""For each axis of a flow its new size, and the scale."""


def _along(call: Call, numbers: tuple[float, ...], usual: list[float]) -> list[float]:
    """A number for each axis of the flow, from one for each axis or for each of ``axes``."""
    rank = call.flow().rank + 1
    axes = call.attribute("axes", tuple(range(rank)))
    if len(numbers) != len(axes):
        call.fail(f"{len(numbers)} sizes or scales for {len(axes)} axes")
    found = [math.nan, *usual]
    for axis, number in zip(axes, numbers, strict=True):
        found[axis] = number
    return found[1:] if not found[0] < 1 and not found[0] > 1 else _other_images(call)


def _other_images(call: Call) -> list[float]:
    return call.fail("resizes along the images' axis")


def _scaled(call: Call, scales: tuple[float, ...]) -> Wanted:
    shape = call.flow().shape
    found = _along(call, scales, [1.0] * len(shape))
    if any(not 0 < scale < math.inf for scale in found):
        call.fail(f"scales {scales}; expected numbers above 0")
    wanted = [(math.floor(size * scale), scale) for size, scale in zip(shape, found, strict=True)]
    return wanted if min(size for size, _ in wanted) > 0 else call.fail(f"scales {scales} leave nothing of {shape}")


def _sized(call: Call, sizes: tuple[int, ...]) -> Wanted:
    shape = call.flow().shape
    if call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        call.fail("keeps the ratio of its sides; only keep_aspect_ratio_policy 'stretch' is supported")
    if len(sizes) == len(shape) + 1 and "axes" not in call.node.attributes:
        sizes = (1 if sizes[0] in (BATCH, call.batch) else sizes[0], *sizes[1:])
        if sizes[0] != 1 or (call.batch is None and call.constant(3, "sizes").reshape(-1)[0] != BATCH):
            call.fail(f"resizes to {sizes[0]} images; the number of images must stay as it is")
    found = [int(size) for size in _along(call, sizes, [float(size) for size in shape])]
    if min(found) < 1:
        call.fail(f"sizes {sizes}; expected at least 1 each")
    return [(size, size / have) for size, have in zip(found, shape, strict=True)]


def _resized(call: Call, wanted: Wanted, place: str, rounding: str) -> Flow:
    flow, mode = call.flow(), call.attribute("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear"):
        call.fail(f"attribute mode: {mode!r} is not supported; nearest and linear are")
    places = [
        None if scale == 1 and size == have else coordinates.places_of(place, have, size, scale)
        for have, (size, scale) in zip(flow.shape, wanted, strict=True)
    ]
    if mode == "nearest":
        for axis, found in enumerate(places):
            flow = flow if found is None else coordinates.nearest(flow, axis, found, rounding)
        return flow
    if places[0] is not None or flow.rank not in (2, 3):
        call.fail(f"linear resizing of {flow.shape} to {[size for size, _ in wanted]}; only along height and width, or length")
    matrices = [
        np.eye(size) if found is None else coordinates.linear(size, found)
        for size, found in zip(flow.shape[1:], places[1:], strict=True)
    ]
    return reductions.resized(call.graph, call.name, flow, matrices) if any(one is not None for one in places) else flow


OPERATORS: Mapping[str, Callable[[Call], Flow]] = MappingProxyType({"Resize": _resize, "Upsample": _upsample})
