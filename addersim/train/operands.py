"""What the kernels for CUDA, in whichever language, expect of their operands: channels last, fewer than 2^31 values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from addersim.arithmetic.geometry import Geometry
from addersim.errors import DataError, NetworkError

__all__ = ["Pair", "Shape", "channels_last", "check_size", "empty_outputs", "geometry_of", "output_shape"]

Pair = Sequence[int]
Shape = tuple[int, ...]

LARGEST = (1 << 31) - (1 << 12)
"""Values of one tensor, at most: the kernels count in 32 bits, and up to the end of a tile that the last value lies in."""


def channels_last(tensor: Tensor) -> Tensor:
    """A tensor stored channels last for certain: torch calls other layouts so too, where sizes are 1."""
    return tensor.detach().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def empty_outputs(shape: Shape, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Room for outputs of a channels-last shape; no view of another tensor, for those take no change in place in autograd."""
    images, height, width, channels = shape
    return torch.empty((images, channels, height, width), dtype=dtype, device=device, memory_format=torch.channels_last)


def geometry_of(adder: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Geometry:
    """The window's moves over filters of a shape, checked."""
    kernel, steps, sides, spread = ((pair[0], pair[1]) for pair in (adder[2:], stride, padding, dilation))
    return Geometry(kernel, steps, sides, spread, groups)


def output_shape(x: Shape, adder: Shape, geometry: Geometry) -> Shape:
    """Channels-last shape of the output, checked."""
    images, channels, height, width = x
    return geometry.output_shape((images, height, width, channels), (adder[0], *geometry.kernel, adder[1]))


def check_size(x: Tensor, upstream: Tensor, *tensors: Tensor, shape: tuple[int, ...] = ()) -> None:
    """Refuse a gradient of another shape than the output's, and sizes beyond 32 bits, in which the kernels count."""
    found = upstream.permute(0, 2, 3, 1).shape
    if shape and found != shape:
        raise NetworkError(f"gradient: shape {tuple(found)}, channels last; the layer's output has {shape}")
    largest = max(tensor.numel() for tensor in (x, upstream, *tensors))
    if largest > LARGEST:
        raise DataError(
            f"adder layer: {largest:,} values in one tensor; the CUDA kernels take at most {LARGEST:,}: use a smaller batch"
        )
