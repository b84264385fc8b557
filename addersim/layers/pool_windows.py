"""Where the windows of pooling layers lie, averages and maxima alike, in float and on codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.pooling import PoolAxis, adaptive_axes, pool_axes
from addersim.errors import NetworkError
from addersim.layers.base import Array, Pair, Shape, moves_in_words

__all__ = ["PoolLayer", "check_windows", "moves_of", "pool_shape", "pooled", "windows_in_words", "windows_of"]


class PoolLayer(Protocol):
    """What a pooling layer says of its windows: a kernel that moves (None is the whole image), or an output size."""

    @property
    def name(self) -> str: ...
    @property
    def kernel(self) -> Pair | None: ...
    @property
    def stride(self) -> Pair | None: ...
    @property
    def padding(self) -> Pair: ...
    @property
    def far_padding(self) -> Pair | None: ...
    @property
    def dilation(self) -> Pair: ...
    @property
    def ceil_mode(self) -> bool: ...
    @property
    def output_size(self) -> Pair | None: ...


MOVES = ("kernel", "stride", "padding", "dilation", "far_padding", "ceil_mode", "output_size")


def moves_of(layer: PoolLayer) -> dict[str, Any]:
    """The fields that say where windows lie, for the layer's other form."""
    return {name: getattr(layer, name) for name in MOVES}


def check_windows(layer: PoolLayer) -> None:
    """Refuse moves beside an output size, which decides all windows."""
    moves = layer.kernel, layer.stride, layer.padding, layer.far_padding, layer.dilation, layer.ceil_mode
    if layer.output_size is not None and moves != (None, None, (0, 0), None, (1, 1), False):
        raise NetworkError(
            f"layer {layer.name}: output_size {layer.output_size} decides where windows lie; leave out kernel, stride, "
            "padding, far_padding, dilation and ceil_mode"
        )


def _geometry(layer: PoolLayer, shape: Shape) -> Geometry:
    """Of a kernel that moves; without a stride window stands beside window."""
    kernel = layer.kernel or (shape[1], shape[2])
    return Geometry(
        kernel,
        layer.stride or kernel,
        layer.padding,
        layer.dilation,
        ceil_mode=layer.ceil_mode,
        far_padding=layer.far_padding,
    )


def windows_of(layer: PoolLayer, shape: Shape) -> tuple[PoolAxis, PoolAxis]:
    """Windows along height and width of an input of channels x height x width, or an error that names the layer."""
    if len(shape) != 3:
        raise NetworkError(f"layer {layer.name}: needs an input of channels x height x width, found {shape}")
    try:
        if layer.output_size is not None:
            return adaptive_axes(layer.output_size, shape[1], shape[2])
        return pool_axes(_geometry(layer, shape), shape[1], shape[2])
    except NetworkError as error:
        raise NetworkError(f"layer {layer.name}: {error}") from None


def pool_shape(layer: PoolLayer, shape: Shape) -> Shape:
    """Shape of the output."""
    rows, columns = windows_of(layer, shape)
    return shape[0], len(rows.spans), len(columns.spans)


def pooled(
    layer: PoolLayer, codes: Array, moving: Callable[..., Array], adaptive: Callable[..., Array], threads: int | None
) -> Array:
    """Codes pooled by one of an engine's two functions: of a kernel that moves, or to an output size."""
    if layer.output_size is not None:
        return adaptive(codes, layer.output_size, threads=threads)
    how = _geometry(layer, (codes.shape[3], *codes.shape[1:3]))
    moves: dict[str, Any] = {"far_padding": how.far_padding, "ceil_mode": how.ceil_mode}
    return moving(codes, how.kernel, how.stride, how.padding, how.dilation, **moves, threads=threads)


def windows_in_words(layer: PoolLayer) -> str:
    """``2x2 stride 2 pad 0,1 ceil``, ``to 3x3`` or ``global``."""
    if layer.output_size is not None:
        return f"to {layer.output_size[0]}x{layer.output_size[1]}"
    if layer.kernel is None:
        return "global"
    kernel = f"{layer.kernel[0]}x{layer.kernel[1]}"
    return " ".join([kernel, *moves_in_words(_geometry(layer, ())), *["ceil"] * layer.ceil_mode])
