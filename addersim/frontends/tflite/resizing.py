"""Resizing of images of codes: the nearest pixel, or what lies between two of each axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.moves import keeps_format
from addersim.frontends.tflite.records import Array
from addersim.layers import IntegerInterpolate, Taps
from addersim.layers.move import Take

__all__ = ["OPERATORS"]

FRACTION_BITS = 10
"""Of a share between two pixels (kernels/internal/reference/reference_ops.h: ResizeBilinearInteger)."""


def _sizes(call: Call) -> tuple[tuple[int, int], ...]:
    """Size of the image and of the output, along height and along width."""
    keeps_format(call)
    shape, output = call.shape(), call.output_shape()
    wanted = tuple(call.constant(1, "the size").reshape(-1).tolist())
    if len(shape) != 3 or output[0] != shape[0] or output[1:] != wanted:
        call.fail(f"resizes {shape} to {wanted}, and its output has {output}; expected images of the same channels")
    if call.option("AlignCorners", False) and call.option("HalfPixelCenters", False):
        call.fail("aligns corners and takes half pixels; one or none of both is defined")
    return tuple(zip(shape[1:], output[1:], strict=True))


def _nearest(call: Call) -> str:
    """In float32, as kernels/internal/reference/resize_nearest_neighbor.h has it."""
    corners, half = call.option("AlignCorners", False), call.option("HalfPixelCenters", False)
    steps = []
    for axis, (size, output) in enumerate(_sizes(call), 1):
        aligned = corners and output > 1
        scale = np.float32(size - 1 if aligned else size) / np.float32(output - 1 if aligned else output)
        places = (np.arange(output, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
        found = np.floor(places + np.float32(0.5)) if corners else np.floor(places)
        steps.append(Take(axis, np.clip(found, 0, size - 1).astype(np.int32)))
    return call.move(call.flow(), tuple(steps))


def _bilinear(call: Call) -> str:
    axes, output = tuple(_between(call, size, wanted) for size, wanted in _sizes(call)), call.output_format
    if not output.signed:
        call.fail("of UINT8, which TensorFlow Lite blends in floats; read are INT8")
    how: dict[str, Any] = {"fraction_bits": FRACTION_BITS, "rounding": "half-up", "ties_away": True}
    return call.layer(IntegerInterpolate, call.flow(), axes=axes, output=output, **how)


def _between(call: Call, size: int, output: int) -> Taps:
    """Pixels and shares along an axis, in whole steps of a share (ComputeInterpolationValuesInteger)."""
    one = 1 << FRACTION_BITS
    scale = (one * size + output // 2) // output
    if call.option("AlignCorners", False) and output > 1:
        scale = (one * (size - 1) + (output - 1) // 2) // (output - 1)
    places: Array = np.arange(output, dtype=np.int64) * scale
    if call.option("HalfPixelCenters", False):
        places += scale // 2 - one // 2
    first, second = np.maximum(places // one, 0), np.minimum(-(-places // one), size - 1)
    first = np.minimum(first, size - 1)
    shares = np.where(first < second, places - first * one, 0) / one  # of one pixel twice the share says nothing
    return Taps(first=tuple(first.tolist()), second=tuple(np.maximum(second, first).tolist()), share=tuple(shares.tolist()))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {"RESIZE_BILINEAR": _bilinear, "RESIZE_NEAREST_NEIGHBOR": _nearest}
)
