"""How windows move over an image, in float and on codes alike: their shapes, and features as one pixel."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from addersim.arithmetic.geometry import Geometry
from addersim.errors import NetworkError
from addersim.kernels.checks import Moves
from addersim.layers.base import Array, Pair, Shape

__all__ = ["WindowLayer", "as_pixels", "check_groups", "like_input", "moves_of", "window_shape"]


class WindowLayer(Protocol):
    """What a window says of its moves, in float and on codes."""

    @property
    def name(self) -> str: ...
    @property
    def weights(self) -> np.ndarray: ...
    @property
    def stride(self) -> Pair: ...
    @property
    def padding(self) -> Pair: ...
    @property
    def far_padding(self) -> Pair | None: ...
    @property
    def dilation(self) -> Pair: ...
    @property
    def groups(self) -> int: ...
    @property
    def geometry(self) -> Geometry: ...


def window_shape(layer: WindowLayer, weights: Shape, shape: Shape) -> Shape:
    """Output shape of a window, from weights ``(filters, kernel height, kernel width, channels / groups)``.

    An input of features is one pixel of that many channels.
    """
    where = f"layer {layer.name}"
    filters, *_, channels = weights
    if shape[0] != channels * layer.groups:
        raise NetworkError(
            f"{where}: weights expect {channels * layer.groups} input channels, the input {shape} has {shape[0]}"
        )
    try:
        _, *size, _ = layer.geometry.output_shape((1, *(*shape, 1, 1)[1:3], shape[0]), weights)
    except NetworkError as error:
        raise NetworkError(f"{where}: {error}") from None
    return (filters, *size) if len(shape) == 3 else (filters,)


def moves_of(layer: WindowLayer) -> Moves:
    """How a layer's window moves, as kernels and `Geometry` take it."""
    return {
        "stride": layer.stride,
        "padding": layer.padding,
        "far_padding": layer.far_padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
    }


def check_groups(layer: WindowLayer) -> None:
    """Refuse groups that do not divide the filters evenly."""
    filters = len(layer.weights)
    if layer.groups < 1 or filters % layer.groups:
        raise NetworkError(f"layer {layer.name}: {filters} filters do not divide into {layer.groups} groups")


def as_pixels(values: Array) -> Array:
    """Images as they are, features as images of one pixel."""
    return values if values.ndim == 4 else values[:, None, None, :]


def like_input(outputs: Array, values: Array) -> Array:
    """What came of `as_pixels`, as images or features again."""
    return outputs if values.ndim == 4 else outputs[:, 0, 0, :]
