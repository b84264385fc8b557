"""What is launched for a layer: the kernel's name, its blocks and its arguments; nothing here needs a GPU.

Each operator prepares its operands, names the tiles that fit, and hands one launch for each to `run`, which runs one of them:
the fastest on a GPU (`addersim.train.cuda.device`), any in a test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from addersim.arithmetic.geometry import Geometry
from addersim.train.operands import Pair, channels_last, check_size, geometry_of, output_shape

__all__ = ["Launch", "Run", "Tile", "l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"]

STEP = 16
"""Terms that a block adds up between two barriers: filters have zeros up to a whole number of steps."""
EIGHT = 8
"""Taps whose sum the packed kernel keeps in float16: groups have a multiple of so many channels."""
BLOCKS = 1024
"""Blocks that the gradient by sign is split into, where it has as many pixels: enough to fill any GPU a few times."""
SPLIT = 256
"""Pixels of a split, at least."""
SPAN = 64
"""Values of a row that a thread of the depthwise kernel holds, at most."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Sums of one block: `rows` x `columns` a thread, `across` x `down` threads."""

    rows: int
    columns: int
    across: int
    down: int

    def __str__(self) -> str:
        return f"Tile<{self.rows},{self.columns},{self.across},{self.down}>"

    @property
    def height(self) -> int:
        """Rows of the block."""
        return self.rows * self.down

    @property
    def width(self) -> int:
        """Columns of the block."""
        return self.columns * self.across

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return self.across * self.down


FORWARD_TILES = (Tile(8, 8, 8, 16), Tile(8, 8, 16, 8), Tile(8, 8, 4, 32), Tile(4, 4, 8, 16), Tile(4, 4, 4, 32))
INPUT_TILES = (Tile(8, 4, 8, 16), Tile(8, 4, 16, 8), Tile(4, 4, 4, 32))
SIGN_TILES = (Tile(8, 4, 16, 8), Tile(8, 4, 8, 16), Tile(4, 4, 4, 32))
PACKED_TILES = (Tile(8, 8, 8, 16), Tile(8, 8, 4, 32), Tile(4, 4, 8, 16))
WIDEST = 128
"""Columns of the widest tile: filters have zeros up to a multiple of so many."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel, instantiated, on its operands: tensors are given by address, numbers as 32 bits."""

    kernel: str
    grid: tuple[int, int]
    threads: int
    arguments: tuple[Tensor | int, ...]


Run = Callable[[Sequence[Launch]], None]

_NAMES = {torch.float32: "float", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def l1_forward(
    x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, *, run: Run | None = None
) -> Tensor:
    """``Y = -sum |X - F|``, in the wider type of `x` and `adder`; shapes as in `addersim.train.reference.l1_forward`.

    Float16 input and filters take the packed kernel where torch allows sums of reduced precision
    (``torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction``) and groups have a multiple of eight channels.
    """
    geometry = geometry_of(adder, stride, padding, dilation, groups)
    shape, dtype = output_shape(x, adder, geometry), torch.promote_types(x.dtype, adder.dtype)
    x = _operand(x)
    y = _empty(shape, dtype if dtype in _NAMES else torch.float32, x)
    check_size(x, y)
    if y.numel():
        chosen = _depthwise_forward if _is_depthwise(adder, geometry) else _packed if _packs(x, adder) else _forward
        (run or _on_device)(chosen(x, adder, y, geometry, shape))
    return y.to(dtype)


def l1_input_gradient(
    gradient: Tensor,
    x: Tensor,
    adder: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    run: Run | None = None,
) -> Tensor:
    """Sum of ``HardTanh(F - X) g`` over outputs and windows, in the shape and type of `x`."""
    geometry, dtype = geometry_of(adder, stride, padding, dilation, groups), x.dtype
    shape = output_shape(x, adder, geometry)
    check_size(x, gradient, shape=shape)
    gradient, x = _operand(gradient), _operand(x)
    result = torch.empty_like(x)
    if result.numel():
        chosen = _depthwise_input_gradient if _is_depthwise(adder, geometry) else _input_gradient
        (run or _on_device)(chosen(gradient, x, adder, result, geometry, shape))
    return result.to(dtype)


def l1_sign_filter_gradient(
    gradient: Tensor,
    x: Tensor,
    adder: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    run: Run | None = None,
) -> Tensor:
    """Sum of ``sgn(X - F) g`` over images and pixels, in the shape and type of `adder`."""
    geometry = geometry_of(adder, stride, padding, dilation, groups)
    shape = output_shape(x, adder, geometry)
    check_size(x, gradient, shape=shape)
    gradient, x = _operand(gradient), _operand(x)
    depthwise, pixels, taps = _is_depthwise(adder, geometry), math.prod(shape[:3]), adder[0].numel()
    split = _split(pixels, taps * adder.shape[0])
    parts = torch.zeros((-(-pixels // split), groups, taps, adder.shape[0] // groups), device=x.device)
    if depthwise:  # taps before outputs: there the groups do not come first
        parts = parts.view(-1, 1, taps, adder.shape[0])
    check_size(x, gradient, parts)
    if parts.numel():
        chosen = _depthwise_sign_gradient if depthwise else _sign_gradient
        (run or _on_device)(chosen(gradient, x, adder, parts, geometry, shape, split))
    total = parts.sum(0).view(-1, *geometry.kernel, adder.shape[1], parts.shape[-1])
    result = total.permute(0, 4, 3, 1, 2).reshape(adder.shape).to(adder.dtype)
    return result.contiguous(memory_format=torch.channels_last)


def _on_device(candidates: Sequence[Launch]) -> None:
    from addersim.train.cuda import device

    device.run(candidates)


def _is_depthwise(adder: Tensor, geometry: Geometry) -> bool:
    return adder.shape[1] == 1 and geometry.groups > 1


def _operand(tensor: Tensor) -> Tensor:
    """Channels last, in a type that the kernels read: others as float32, which all sums are."""
    return channels_last(tensor if tensor.dtype in _NAMES else tensor.float())


def _empty(shape: tuple[int, ...], dtype: torch.dtype, like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=like.device).permute(0, 3, 1, 2)


def _vector(tensor: Tensor, channels: int, count: int = 4) -> int:
    """Neighbouring channels that one load takes: `count` where they lie aligned, else one."""
    return count if channels % count == 0 and tensor.data_ptr() % (count * tensor.element_size()) == 0 else 1


def _packs(x: Tensor, adder: Tensor) -> bool:
    allowed = bool(torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction)
    return allowed and x.dtype == adder.dtype == torch.float16 and _vector(x, adder.shape[1], EIGHT) == EIGHT


def _split(pixels: int, filters: int) -> int:
    """Pixels of one block of the gradient by sign, of which a block has some 4096 filters' sums."""
    blocks = max(1, BLOCKS * 4096 // max(filters, 4096))
    return max(SPLIT, -(-pixels // blocks))


def _up(size: int, whole: int) -> int:
    return -(-size // whole) * whole


def _filled(matrices: Tensor, rows: int) -> Tensor:
    """Matrices (..., terms, columns) with zeros up to `rows` and whole tiles."""
    terms, columns = matrices.shape[-2:]
    return pad(matrices, (0, _up(columns, WIDEST) - columns, 0, rows - terms)).contiguous()


def _by_group(adder: Tensor, groups: int) -> Tensor:
    """Filters as (groups, outputs, channels, kernel height, kernel width)."""
    return adder.detach().reshape(groups, -1, *adder.shape[1:])


def _columns(adder: Tensor, groups: int, whole: int = STEP) -> Tensor:
    """Filters as one matrix a group: taps x channels by outputs."""
    matrices = _by_group(adder, groups).permute(0, 3, 4, 2, 1).flatten(1, 3)
    return _filled(matrices, _up(matrices.shape[1], whole))


def _sizes(shape: Sequence[int], adder: Tensor, geometry: Geometry, out: Sequence[int]) -> tuple[int, ...]:
    """Sizes as the kernels take them, from `images` on; `shape` is that of the input, `out` the output's, channels last."""
    moves = *geometry.kernel, *geometry.stride, *geometry.padding, *geometry.dilation
    channels, outputs = adder.shape[1], adder.shape[0] // geometry.groups
    return shape[0], *shape[2:], channels, outputs, geometry.groups, *out[1:3], *moves


def _grid(tile: Tile, rows: int, columns: int, others: int) -> tuple[int, int]:
    return -(-rows // tile.height) * others, -(-columns // tile.width)


def _forward(x: Tensor, adder: Tensor, y: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> list[Launch]:
    filters, types = _columns(adder.float(), geometry.groups), f"{_NAMES[x.dtype]},{_NAMES[y.dtype]}"
    arguments = x, filters, y, *_sizes(x.shape, adder, geometry, shape), *filters.shape[1:]
    vector, outputs = _vector(x, adder.shape[1]), adder.shape[0] // geometry.groups
    return [
        Launch(f"l1_forward<{types},{vector},{tile}>", _grid(tile, math.prod(shape[:3]), outputs, geometry.groups), tile.threads, arguments)
        for tile in FORWARD_TILES
    ]


def _packed(x: Tensor, adder: Tensor, y: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> list[Launch]:
    rows = _columns(adder, geometry.groups, 2 * EIGHT)
    filters = rows.unflatten(1, (-1, EIGHT)).transpose(2, 3).contiguous()
    arguments = x, filters, y, *_sizes(x.shape, adder, geometry, shape), *filters.shape[1:3]
    outputs = adder.shape[0] // geometry.groups
    return [
        Launch(f"l1_forward_packed<{tile}>", _grid(tile, math.prod(shape[:3]), outputs, geometry.groups), tile.threads, arguments)
        for tile in PACKED_TILES
    ]


def _classes(adder: Tensor, groups: int, repeats: Sequence[int]) -> Tensor:
    """Filters as (groups, classes, terms, channels): taps of a class, `repeats` apart, meet the same pixels of a stride."""
    filters = _by_group(adder.float(), groups)
    found = [
        filters[..., row :: repeats[0], column :: repeats[1]].permute(0, 3, 4, 1, 2).flatten(1, 3)
        for row in range(min(repeats[0], adder.shape[2]))
        for column in range(min(repeats[1], adder.shape[3]))
    ]
    rows = _up(max(one.shape[1] for one in found), STEP)
    return torch.stack([_filled(one, rows) for one in found], 1)


def _input_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, result: Tensor, geometry: Geometry, shape: tuple[int, ...]
) -> list[Launch]:
    (stride_y, stride_x), channels = geometry.stride, adder.shape[1]
    repeats = [stride // math.gcd(stride, dilation) for stride, dilation in zip(geometry.stride, geometry.dilation, strict=True)]
    filters = _classes(adder, geometry.groups, repeats)
    sizes = _sizes(x.shape, adder, geometry, shape)
    arguments = gradient, x, filters, result, *sizes, *filters.shape[2:], *repeats
    types, vector = f"{_NAMES[gradient.dtype]},{_NAMES[x.dtype]}", _vector(gradient, adder.shape[0] // geometry.groups)
    pixels, others = x.shape[0] * -(-x.shape[2] // stride_y) * -(-x.shape[3] // stride_x), geometry.groups * stride_y * stride_x
    return [
        Launch(f"l1_input_gradient<{types},{vector},{tile}>", _grid(tile, pixels, channels, others), tile.threads, arguments)
        for tile in INPUT_TILES
    ]


def _sign_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, parts: Tensor, geometry: Geometry, shape: tuple[int, ...], split: int
) -> list[Launch]:
    filters, outputs = _columns(adder.float(), geometry.groups), adder.shape[0] // geometry.groups
    sizes = _sizes(x.shape, adder, geometry, shape)
    arguments = gradient, x, filters, parts, *sizes, *filters.shape[1:], split
    types = f"{_NAMES[gradient.dtype]},{_NAMES[x.dtype]},{_vector(x, adder.shape[1])},{_vector(gradient, outputs)}"
    rows, others = adder[0].numel(), parts.shape[0] * geometry.groups
    return [
        Launch(f"l1_sign_filter_gradient<{types},{tile}>", _grid(tile, rows, outputs, others), tile.threads, arguments)
        for tile in SIGN_TILES
    ]


def _depthwise_sizes(x: Tensor, adder: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes as the depthwise kernels take them, up to the kernel's height."""
    repeat = adder.shape[0] // geometry.groups
    return x.shape[0], *x.shape[2:], repeat, adder.shape[0], *shape[1:3], geometry.kernel[0]


def _moves(geometry: Geometry) -> tuple[int, ...]:
    return *geometry.stride, *geometry.padding, *geometry.dilation


def _taps(adder: Tensor) -> Tensor:
    """Depthwise filters as (taps, outputs)."""
    return adder.detach().float().flatten(1).T.contiguous()


def _depthwise_forward(x: Tensor, adder: Tensor, y: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> list[Launch]:
    arguments = x, _taps(adder), y, *_depthwise_sizes(x, adder, geometry, shape), *_moves(geometry)
    types, kernel, stride = f"{_NAMES[x.dtype]},{_NAMES[y.dtype]}", geometry.kernel[1], geometry.stride[1]
    runs = [run for run in (8, 4, 2) if geometry.dilation[1] == 1 and (run - 1) * stride + kernel <= SPAN]
    launches = []
    for run in (*runs, 1):
        threads = shape[0] * shape[1] * -(-shape[2] // run) * shape[3]
        name = f"l1_depthwise_forward<{types},{kernel},{stride if run > 1 else 1},{run}>"
        launches.append(Launch(name, (-(-threads // 256), 1), 256, arguments))
    return launches


def _depthwise_input_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, result: Tensor, geometry: Geometry, shape: tuple[int, ...]
) -> list[Launch]:
    sizes = *_depthwise_sizes(x, adder, geometry, shape), geometry.kernel[1], *_moves(geometry)
    name = f"l1_depthwise_input_gradient<{_NAMES[gradient.dtype]},{_NAMES[x.dtype]}>"
    return [Launch(name, (-(-x.numel() // 256), 1), 256, (gradient, x, _taps(adder), result, *sizes))]


def _depthwise_sign_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, parts: Tensor, geometry: Geometry, shape: tuple[int, ...], split: int
) -> list[Launch]:
    arguments = gradient, x, _taps(adder), parts, *_depthwise_sizes(x, adder, geometry, shape), *_moves(geometry), split
    name = f"l1_depthwise_sign_filter_gradient<{_NAMES[gradient.dtype]},{_NAMES[x.dtype]},{geometry.kernel[1]}>"
    blocks = -(-adder.shape[0] // 32) * geometry.kernel[0] * parts.shape[0]
    return [Launch(name, (blocks, 1), 256, arguments)]
