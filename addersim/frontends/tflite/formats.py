"""Formats of tensors: how their codes stand for reals, and the codes at which fused activations end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError, LoweringError
from addersim.frontends.tflite.records import Array, Shape, Tensor
from addersim.inputs.limits import IMAGE_SIDE
from addersim.inputs.opening import MAX_FILE_BYTES

__all__ = ["CODES", "activation_ends", "channel_scales", "code_format", "known_shape", "same_codes", "value_shape"]

CODES = MappingProxyType({"INT8": True, "UINT8": False})
"""Whether a type of codes has a sign."""
ADVICE = MappingProxyType(
    {
        "FLOAT32": "convert the network with full integer quantisation",
        "FLOAT16": "convert the network with full integer quantisation",
        "INT16": "convert the network with activations of 8 bits",
        "INT4": "convert the network with weights of 8 bits",
    }
)
ENDS: Mapping[str, tuple[float | None, float | None]] = MappingProxyType(
    {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
)
"""Real values at which a fused activation ends."""


def code_format(tensor: Tensor) -> FixedFormat:
    """The format of a tensor of activations: one scale and one zero point for all its codes."""
    _check_codes(tensor)
    if tensor.scales.size != 1:
        tensor.fail(f"has {tensor.scales.size} scales; activations have one")
    return _format(tensor, float(tensor.scales[0]), int(_zero_points(tensor)[0]))


def same_codes(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of activations have one format."""
    try:
        return code_format(first) == code_format(second)
    except LoweringError:
        return False


def channel_scales(tensor: Tensor, channels: int, axis: int) -> tuple[Array, npt.NDArray[np.int32]]:
    """Scale (float32) and zero point (int32) of each filter of a tensor of weights, of one shape ``(channels,)``."""
    _check_codes(tensor)
    count = tensor.scales.size
    if count not in (1, channels):
        tensor.fail(f"has {count} scales for {channels} channels; weights have one, or one a channel")
    if count > 1 and tensor.axis != axis:
        tensor.fail(f"has scales along axis {tensor.axis}; they are read along axis {axis}, that of the channels")
    if count > 1 and tensor.type == "UINT8":
        tensor.fail(f"has {count} scales; UINT8 weights have one")
    zero_points = _zero_points(tensor)
    for scale, zero_point in {*zip(tensor.scales.tolist(), zero_points.tolist(), strict=True)}:
        _format(tensor, scale, zero_point)
    return np.broadcast_to(tensor.scales, channels), np.broadcast_to(zero_points, channels).astype(np.int32)


def _check_codes(tensor: Tensor) -> None:
    if tensor.type not in CODES:
        tensor.fail(f"is of type {tensor.type}; read are codes of {' and '.join(CODES)}" + _advice(tensor.type))
    if not tensor.scales.size:
        tensor.fail(f"is {tensor.type} without a scale; read are quantised tensors")


def _advice(kind: str) -> str:
    return f": {ADVICE[kind]}" if kind in ADVICE else ""


def _zero_points(tensor: Tensor) -> npt.NDArray[np.int64]:
    """As many as scales; a file may leave them out where all are zero."""
    found, count = tensor.zero_points, tensor.scales.size
    if found.size not in (0, count):
        tensor.fail(f"has {found.size} zero points for {count} scales")
    return found if found.size else np.zeros(count, np.int64)


def _format(tensor: Tensor, scale: float, zero_point: int) -> FixedFormat:
    try:
        return FixedFormat(8, CODES[tensor.type], scale, zero_point)
    except FormatError as error:
        tensor.fail(str(error))


def activation_ends(name: str, output: FixedFormat) -> tuple[int | None, int | None]:
    """Codes at which a fused activation ends, None where its format ends before.

    Of TensorFlow Lite, kernels/kernel_util.cc: CalculateActivationRangeQuantized; in float32, ties away from zero.
    """
    if name not in ENDS:
        raise LoweringError(f"fused activation {name} is not supported; known: {', '.join(ENDS)}")
    low, high = (None if end is None else _code(end, output) for end in ENDS[name])
    return (
        low if low is not None and low > output.minimum else None,
        high if high is not None and high < output.maximum else None,
    )


def _code(real: float, output: FixedFormat) -> int:
    steps = float(np.float32(real) / np.float32(output.scale))
    return output.zero_point + int(min(np.floor(abs(steps) + 0.5), 2.0**30) * np.sign(steps))


def known_shape(tensor: Tensor) -> Shape:
    """A tensor's shape as the file has it, -1 where it leaves a size open."""
    return tensor.signature if len(tensor.signature) == len(tensor.shape) else tensor.shape


def value_shape(tensor: Tensor, batch: int) -> Shape:
    """A tensor's shape without images and with the last axis, its channels, first."""
    if len(tensor.shape) < 2:
        tensor.fail(f"has shape {tensor.shape}; needed are images along the first axis, and at least one more")
    first, *others, last = tensor.shape
    if first != batch:
        tensor.fail(f"has shape {tensor.shape}, and the input {batch} images: images would no longer be independent")
    if max(others, default=1) > IMAGE_SIDE.most or math.prod(tensor.shape[1:]) > MAX_FILE_BYTES:
        most = f"sides of {IMAGE_SIDE.most:,} and {MAX_FILE_BYTES:,} values an image are the most"
        tensor.fail(f"has shape {tensor.shape}; {most}")
    return (last, *others)
