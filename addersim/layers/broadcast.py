"""Two values of one shape, or of shapes with size 1 where they differ, which is repeated: a gate beside an image."""

from __future__ import annotations

import numpy as np

from addersim.errors import NetworkError
from addersim.layers.base import Array, Shape

__all__ = ["common_shape", "stretched"]


def common_shape(name: str, verb: str, first: Shape, second: Shape) -> Shape:
    """Shape of what a layer makes of two values, or a NetworkError."""
    if len(first) != len(second) or any(a != b and 1 not in (a, b) for a, b in zip(first, second, strict=True)):
        raise NetworkError(f"layer {name}: {verb} {first} and {second}; both must have one shape, or size 1 where they differ")
    return tuple(max(sizes) for sizes in zip(first, second, strict=True))


def stretched(first: Array, second: Array) -> tuple[Array, Array]:
    """Two arrays of images, each as large as both together need it."""
    return (first, second) if first.shape == second.shape else tuple(np.broadcast_arrays(first, second))  # type: ignore[return-value]
