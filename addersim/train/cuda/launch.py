"""Records of what is launched: a tile of sums, a kernel on its operands, a layer's sizes as the kernels take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from torch import Tensor

from addersim.arithmetic.geometry import Geometry
from addersim.train.operands import Pair, Shape, geometry_of, output_shape

__all__ = ["Arguments", "Launch", "Layer", "Run", "Tile", "parts", "tiled"]

Arguments: TypeAlias = tuple[Tensor | int, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """Sums of one block: `rows` x `columns` a thread, `across` x `down` threads."""

    rows: int
    columns: int
    across: int
    down: int

    def __str__(self) -> str:
        return f"Tile<{self.rows},{self.columns},{self.across},{self.down}>"


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel, instantiated, on its operands: tensors are given by address, numbers as 32 bits."""

    kernel: str
    grid: tuple[int, int]
    threads: int
    arguments: Arguments


Run: TypeAlias = Callable[[Sequence[Launch]], None]
"""Runs one of several launches that give the same."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Sizes of a layer; channels and outputs are those of one group."""

    geometry: Geometry
    images: int
    size: tuple[int, int]
    channels: int
    outputs: int
    out_size: tuple[int, int]

    @classmethod
    def of(cls, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Layer:
        """The layer of some operands, checked."""
        return _layer(x.shape, adder.shape, tuple(stride), tuple(padding), tuple(dilation), groups)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels-last shape of the output."""
        return self.images, *self.out_size, self.outputs * self.groups

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return self.geometry.groups

    @property
    def pixels(self) -> int:
        """Pixels of all outputs."""
        return self.images * math.prod(self.out_size)

    @property
    def taps(self) -> int:
        """Filters of one output."""
        return math.prod(self.geometry.kernel) * self.channels

    @property
    def is_depthwise(self) -> bool:
        """Whether each of several groups has one channel."""
        return self.channels == 1 and self.groups > 1

    @property
    def repeats(self) -> tuple[int, int]:
        """Taps along each axis after which one meets the same pixels of a stride again."""
        (down, across), (lower, further) = self.geometry.stride, self.geometry.dilation
        return down // math.gcd(down, lower), across // math.gcd(across, further)

    @property
    def moves(self) -> tuple[int, ...]:
        """Stride, padding and dilation."""
        return *self.geometry.stride, *self.geometry.padding, *self.geometry.dilation

    @property
    def sizes(self) -> tuple[int, ...]:
        """All sizes in the order of the kernels' parameters."""
        channels = self.channels, self.outputs, self.groups
        return self.images, *self.size, *channels, *self.out_size, *self.geometry.kernel, *self.moves

    @property
    def depthwise_sizes(self) -> tuple[int, ...]:
        """Sizes in the order of the depthwise kernels' parameters, up to the kernel's height."""
        return self.images, *self.size, self.outputs, self.outputs * self.groups, *self.out_size, self.geometry.kernel[0]


@lru_cache(maxsize=4096)  # asked at each call: a GPU waits for what is told to it
def _layer(x: Shape, adder: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int) -> Layer:
    geometry = geometry_of(adder, stride, padding, dilation, groups)
    images, height, width, outputs = output_shape(x, adder, geometry)
    return Layer(geometry, images, (x[2], x[3]), adder[1], outputs // geometry.groups, (height, width))


def parts(whole: int, part: int) -> int:
    """How many parts cover a whole."""
    return -(-whole // part)


def tiled(name: str, tiles: tuple[Tile, ...], matrix: tuple[int, int, int], arguments: Arguments) -> list[Launch]:
    """A launch for each tile of `matrix`: rows, columns and how many there are; `name` ends where the tile's begins."""
    return [Launch(*place, arguments) for place in _places(name, tiles, matrix)]


@lru_cache(maxsize=4096)
def _places(name: str, tiles: tuple[Tile, ...], matrix: tuple[int, int, int]) -> tuple[tuple[str, tuple[int, int], int], ...]:
    """Kernel, grid and threads of each tile."""
    rows, columns, count = matrix
    return tuple(
        (
            f"{name}{tile}>",
            (parts(rows, tile.rows * tile.down) * count, parts(columns, tile.columns * tile.across)),
            tile.across * tile.down,
        )
        for tile in tiles
    )
