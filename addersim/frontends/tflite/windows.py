"""Convolutions and fully connected layers: sums of products of codes less their zero points, and what narrows them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.formats import channel_scales
from addersim.frontends.tflite.records import Array, Shape
from addersim.frontends.transposed import transposed_window
from addersim.layers import IntegerRescale, IntegerWindow
from addersim.layers.move import Take

__all__ = ["OPERATORS", "moves"]

Pair = tuple[int, int]

BIAS_TOLERANCE = 0.02
"""How many steps of the output the scale of a bias may be off."""


def moves(call: Call, image: Shape, kernel: Pair, dilation: Pair = (1, 1)) -> dict[str, Any]:
    """Stride and padding of a window over an image of channels x height x width.

    ``SAME`` gives ``ceil(size / stride)`` windows, the odd pixel of padding behind (TensorFlow Lite, kernels/padding.h:
    ComputePaddingWithOffset).
    """
    if len(image) != 3:
        call.fail(f"input of {len(image) + 1} axes; expected images x height x width x channels")
    stride = call.option("StrideH", 0), call.option("StrideW", 0)
    if min(stride) < 1 or min(dilation) < 1:
        call.fail(f"stride {stride} and dilation {dilation}; both are at least 1")
    padding = call.option("Padding", "SAME")
    if padding not in ("SAME", "VALID"):
        call.fail(f"padding {padding}; known: SAME, VALID")
    spare = [0, 0]
    if padding == "SAME":
        for axis, size in enumerate(image[1:]):
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            spare[axis] = max((-(-size // stride[axis]) - 1) * stride[axis] + reach - size, 0)
    before = spare[0] // 2, spare[1] // 2
    return {"stride": stride, "padding": before, "far_padding": (spare[0] - before[0], spare[1] - before[1])}


def _window(call: Call, weights: Array, axis: int, rule: str, source: str = "", **moving: Any) -> str:
    """Sums of a window over codes, and their narrowing.

    Scales are multiplied in float64 (TensorFlow Lite, kernels/kernel_util.cc: PopulateConvolutionQuantizationParams).
    """
    given, output, held = call.format(), call.output_format, call.tensor(1, "weights")
    if held.type != call.tensor(0, "input").type:
        held.fail(f"is {held.type} beside an input of {call.tensor(0, 'input').type}; expected one type")
    scales, zero_points = channel_scales(held, len(weights), axis)
    if held.type == "INT8" and zero_points.any() and (rule == RULE or held.scales.size > 1):
        held.fail(f"has zero point {zero_points[zero_points != 0][0]}; INT8 weights of convolutions and channels have 0")
    sums = call.layer(
        IntegerWindow,
        source or call.flow(),
        part=".sums",
        datapath="mac",
        weights=call.layers.kept(weights),
        input_format=given,
        weight_format=FixedFormat(8, held.type == "INT8"),
        accumulator=Accumulator(),
        weight_zero_points=zero_points if zero_points.any() else None,
        **moving,
    )
    products = given.scale * scales.astype(np.float64)
    return call.layer(
        IntegerRescale,
        sums,
        bias=_bias(call, len(weights), products, output.scale),
        scale=products / output.scale,
        rule=rule,
        output=output,
        **call.ends,
    )


def _bias(call: Call, filters: int, products: Array, output_scale: float) -> Array:
    """Codes of the bias, whose scale is that of the sums, `products`.

    One that says another is refused where TensorFlow Lite refuses it, beside weights of one scale (kernels/kernel_util.cc:
    GetQuantizedConvolutionMultipler).
    """
    if len(call.inputs) < 3 or call.inputs[2] is None:
        return np.zeros(filters, np.int64)
    found, held = call.constant(2, "the bias", ("INT32",)), call.tensor(2, "the bias")
    if found.shape != (filters,):
        call.fail(f"bias of shape {found.shape}; expected {filters} values")
    if held.zero_points.any():
        held.fail("has a zero point; that of a bias is 0")
    if (odd := held.scales[~((held.scales > 0) & np.isfinite(held.scales))]).size:
        held.fail(f"has scale {odd[0]:.4g}; scales are positive finite numbers")
    one = held.scales.size == 1 and bool((products == products[0]).all())
    if one and not abs(products[0] - held.scales[0]) <= BIAS_TOLERANCE * output_scale:
        held.fail(f"has scale {held.scales[0]:.4g}; that of the sums is {products[0]:.4g}")
    return found.astype(np.int64)


def _weights(call: Call, axes: int) -> Array:
    found = call.constant(1, "weights", ("INT8", "UINT8"))
    if found.ndim != axes or not found.size:
        call.fail(f"weights of shape {found.shape}; expected {axes} axes")
    return found


def _dilation(call: Call) -> Pair:
    return call.option("DilationHFactor", 1), call.option("DilationWFactor", 1)


def _bordered(call: Call) -> tuple[str, Shape, dict[str, Any]]:
    """What a window goes over, its shape, and its borders, where these are given in pixels: see `with_dilation`."""
    source, image, borders = call.flow(), call.shape(), call.option("Borders", ())
    if not borders:
        return source, image, {}
    if len(image) == 2:
        source, image = call.reshape(source, (image[0], 1, image[1]), ".input"), (image[0], 1, image[1])
    steps = []
    for axis, (near, far) in enumerate(borders, 1):
        if min(near, far) < 0:  # what is cropped of the output is never looked at
            steps.append(Take(axis, np.arange(max(-near, 0), image[axis] + min(far, 0), dtype=np.int32)))
    source = call.move(source, tuple(steps), ".seen")
    (above, below), (left, right) = ((max(near, 0), max(far, 0)) for near, far in borders)
    return source, call.layers.values[source].shape, {"padding": (above, left), "far_padding": (below, right)}


def _convolution(call: Call) -> str:
    weights, dilation = _weights(call, 4), _dilation(call)
    source, image, borders = _bordered(call)
    kernel, channels = weights.shape[1:3], weights.shape[3]
    if image[0] % channels:
        call.fail(f"weights of {channels} channels, the input has {image[0]}")
    how = moves(call, image, kernel, dilation) | borders | {"dilation": dilation, "groups": image[0] // channels}
    return _in_shape(call, _window(call, weights, 0, RULE, source, **how))


def _depthwise(call: Call) -> str:
    weights, dilation = _weights(call, 4), _dilation(call)
    source, image, borders = _bordered(call)
    if weights.shape[0] != 1 or weights.shape[3] % image[0]:
        call.fail(f"weights of shape {weights.shape}; expected 1 x height x width x a multiple of {image[0]} channels")
    how = moves(call, image, weights.shape[1:3], dilation) | borders | {"dilation": dilation, "groups": image[0]}
    return _in_shape(call, _window(call, weights.transpose(3, 1, 2, 0), 3, RULE, source, **how))


def _in_shape(call: Call, found: str) -> str:
    """A row of pixels as the file has it, with no height."""
    return call.dropped(found, [1], ".shape") if len(call.output.shape) == 3 else found


def _fully_connected(call: Call) -> str:
    """Over all values of an image; or over the last axis at each position of the others.

    The file keeps the axes, or makes images of all positions.
    """
    if call.option("WeightsFormat", 0):
        call.fail("weights in a shuffled order; only the usual one is supported")
    weights, shape = _weights(call, 2), call.shape()
    filters, features = weights.shape
    positions = math.prod(shape) // features
    if math.prod(shape) % features:
        call.fail(f"weights of {features} features, an image has {math.prod(shape)} values")
    if positions > 1 and shape[0] != features:
        call.fail(f"weights of {features} features, the last axis of the input has {shape[0]}")
    flat = (features,) if positions == 1 else (features, positions, 1)
    placed = call.reshape(call.flow(), flat, ".input")
    found = _window(call, weights[:, None, None, :], 0, RULES[RULE].dense or RULE, source=placed)
    kept = (filters, *shape[1:]) if call.option("KeepNumDims", False) or call.merged else (filters, *flat[1:2])
    return call.reshape(found, kept, ".shape")


def _transposed(call: Call) -> str:
    """Zeros between the codes, then a window with turned weights (kernels/internal/reference/integer_ops/transpose_conv.h).

    The output's size, which the file gives, says what is taken away or added behind; what is taken away before follows from
    it as the padding of a convolution does.
    """
    call = dataclasses.replace(call, inputs=_image_first(call.inputs), sources=_image_first(call.sources))
    weights, image, output = _weights(call, 4), call.shape(), call.output_shape()
    if weights.shape[3] != image[0] or output[0] != len(weights):
        call.fail(f"weights of shape {weights.shape} between {image[0]} and {output[0]} channels")
    kernel = weights.shape[1:3]
    how = moves(call, output, kernel)
    near, sizes = how["padding"], zip(image[1:], how["stride"], kernel, output[1:], how["padding"], strict=True)
    behind = [(size - 1) * step + taps - wanted - before for size, step, taps, wanted, before in sizes]
    turned = transposed_window(
        weights.transpose(3, 0, 1, 2),
        (image[1], image[2]),
        stride=how["stride"],
        padding=near,
        far_padding=(max(behind[0], 0), max(behind[1], 0)),
        output_padding=(max(-behind[0], 0), max(-behind[1], 0)),
    )
    seen = (Take(place, np.array(taken, np.int32)) for place, taken in ((1, turned.rows), (2, turned.columns)))
    filters = np.ascontiguousarray(turned.weights.transpose(0, 2, 3, 1))
    source = call.move(call.flow(), tuple(seen), ".input")
    return _window(call, filters, 0, RULE, source, padding=turned.padding, far_padding=turned.far_padding)


def _image_first(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a transposed convolution's inputs the image, the weights and the bias, as others have them; the size goes."""
    return (values[2], values[1], *values[3:]) if len(values) > 2 else ()


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _fully_connected,
        "TRANSPOSE_CONV": _transposed,
    }
)
