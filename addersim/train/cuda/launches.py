"""The operators on a GPU: what is launched for a layer, and on which operands; nothing here needs a GPU.

Each prepares its operands, names the tiles that there are, and hands one launch for each to `run`, which runs one of them: the
fastest on a GPU (`addersim.train.cuda.device`), any in a test. All sums are float32, but for those of the packed kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from addersim.train.cuda.filters import EIGHT, by_classes, by_eights, by_taps, by_terms
from addersim.train.cuda.launch import Arguments, Launch, Layer, Run, Tile, parts, tiled
from addersim.train.operands import Pair, channels_last, check_size, empty_outputs

__all__ = [
    "FORWARD_TILES",
    "INPUT_TILES",
    "PACKED_TILES",
    "SIGN_TILES",
    "l1_forward",
    "l1_input_gradient",
    "l1_sign_filter_gradient",
]

FORWARD_TILES = (Tile(8, 8, 8, 16), Tile(8, 8, 16, 8), Tile(8, 8, 4, 32), Tile(4, 4, 8, 16), Tile(4, 4, 4, 32))
INPUT_TILES = (Tile(8, 4, 8, 16), Tile(8, 4, 16, 8), Tile(4, 4, 4, 32))
SIGN_TILES = (Tile(8, 4, 16, 8), Tile(8, 4, 8, 16), Tile(4, 4, 4, 32))
PACKED_TILES = (Tile(8, 8, 8, 16), Tile(8, 8, 4, 32), Tile(4, 4, 8, 16))

BLOCKS = 1024
"""Blocks that the gradient by sign is split into, where it has as many pixels: enough to fill any GPU a few times."""
SPLIT = 256
"""Pixels of a split, at least."""
SPAN = 64
"""Values of a row that a thread of the depthwise kernel holds, at most."""
THREADS = 256
"""Threads of a block of the depthwise kernels."""
LANES = 32
"""Outputs that a block of the depthwise gradient by sign works on."""

_NAMES = {torch.float32: "float", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def l1_forward(
    x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, *, run: Run | None = None
) -> Tensor:
    """``Y = -sum |X - F|``, in the wider type of `x` and `adder`; shapes as in `addersim.train.reference.l1_forward`.

    Float16 input and filters take the packed kernel where torch allows sums of reduced precision
    (``torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction``) and groups have a multiple of eight channels.
    """
    layer, dtype = Layer.of(x, adder, stride, padding, dilation, groups), torch.promote_types(x.dtype, adder.dtype)
    x = _operand(x)
    kept = dtype if dtype in _NAMES else torch.float32
    y = empty_outputs(layer.shape, kept, x.device)
    check_size(x, y)
    if y.numel():
        chosen = _depthwise_forward if layer.is_depthwise else _packed if _packs(x, adder) else _forward
        (run or _on_device)(chosen(x, adder, y, layer))
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
    layer, dtype = Layer.of(x, adder, stride, padding, dilation, groups), x.dtype
    check_size(x, gradient, shape=layer.shape)
    gradient, x = _operand(gradient), _operand(x)
    result = torch.empty_like(x)
    if result.numel():
        chosen = _depthwise_input_gradient if layer.is_depthwise else _input_gradient
        (run or _on_device)(chosen(gradient, x, adder.float(), result, layer))
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
    layer = Layer.of(x, adder, stride, padding, dilation, groups)
    check_size(x, gradient, shape=layer.shape)
    gradient, x = _operand(gradient), _operand(x)
    # One result a split. The kernel of one channel a group keeps taps before outputs: as if all were one group.
    outer, inner = (1, adder.shape[0]) if layer.is_depthwise else (layer.groups, layer.outputs)
    splits = parts(layer.pixels, _split(layer.pixels, adder.numel()))
    results = torch.empty((splits, outer, layer.taps, inner), device=x.device)
    check_size(x, gradient, results)
    if results.numel():
        chosen = _depthwise_sign_gradient if layer.is_depthwise else _sign_gradient
        (run or _on_device)(chosen(gradient, x, adder.float(), results, layer))
    total = results.sum(0).view(outer, *layer.geometry.kernel, layer.channels, inner)
    result = total.permute(0, 4, 3, 1, 2).reshape(adder.shape).to(adder.dtype)
    return result.contiguous(memory_format=torch.channels_last)


def _on_device(candidates: Sequence[Launch]) -> None:
    from addersim.train.cuda import device

    device.run(candidates)


def _operand(tensor: Tensor) -> Tensor:
    """Channels last, in a type that the kernels read: others as float32, which all sums are."""
    return channels_last(tensor if tensor.dtype in _NAMES else tensor.float())


def _types(*tensors: Tensor) -> str:
    return ",".join(_NAMES[tensor.dtype] for tensor in tensors)


def _vector(tensor: Tensor, channels: int, count: int = 4) -> int:
    """Neighbouring channels that one load takes: `count` where they lie aligned, else one."""
    return count if channels % count == 0 and tensor.data_ptr() % (count * tensor.element_size()) == 0 else 1


def _packs(x: Tensor, adder: Tensor) -> bool:
    allowed = bool(torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction)
    return allowed and x.dtype == adder.dtype == torch.float16 and _vector(x, adder.shape[1], EIGHT) == EIGHT


def _split(pixels: int, filters: int) -> int:
    """Pixels of one block of the gradient by sign, which has the sums of some 4096 filters."""
    return max(SPLIT, parts(pixels, max(1, BLOCKS * 4096 // max(filters, 4096))))


def _forward(x: Tensor, adder: Tensor, y: Tensor, layer: Layer) -> list[Launch]:
    filters = by_terms(adder.float(), layer.groups)
    arguments = x, filters, y, *layer.sizes, *filters.shape[1:]
    name = f"l1_forward<{_types(x, y)},{_vector(x, layer.channels)},"
    return tiled(name, FORWARD_TILES, (layer.pixels, layer.outputs, layer.groups), arguments)


def _packed(x: Tensor, adder: Tensor, y: Tensor, layer: Layer) -> list[Launch]:
    filters = by_eights(adder, layer.groups)
    arguments = x, filters, y, *layer.sizes, *filters.shape[1:3]
    return tiled("l1_forward_packed<", PACKED_TILES, (layer.pixels, layer.outputs, layer.groups), arguments)


def _input_gradient(gradient: Tensor, x: Tensor, adder: Tensor, result: Tensor, layer: Layer) -> list[Launch]:
    filters, (down, across) = by_classes(adder, layer.groups, layer.repeats), layer.geometry.stride
    arguments = gradient, x, filters, result, *layer.sizes, *filters.shape[2:], *layer.repeats
    name = f"l1_input_gradient<{_types(gradient, x)},{_vector(gradient, layer.outputs)},"
    pixels = layer.images * parts(layer.size[0], down) * parts(layer.size[1], across)  # of one phase of the stride
    return tiled(name, INPUT_TILES, (pixels, layer.channels, layer.groups * down * across), arguments)


def _sign_gradient(gradient: Tensor, x: Tensor, adder: Tensor, results: Tensor, layer: Layer) -> list[Launch]:
    filters, split = by_terms(adder, layer.groups), parts(layer.pixels, results.shape[0])
    arguments = gradient, x, filters, results, *layer.sizes, *filters.shape[1:], split
    vectors = f"{_vector(x, layer.channels)},{_vector(gradient, layer.outputs)}"
    name = f"l1_sign_filter_gradient<{_types(gradient, x)},{vectors},"
    return tiled(name, SIGN_TILES, (layer.taps, layer.outputs, layer.groups * results.shape[0]), arguments)


def _depthwise_forward(x: Tensor, adder: Tensor, y: Tensor, layer: Layer) -> list[Launch]:
    arguments: Arguments = (x, by_taps(adder.float()), y, *layer.depthwise_sizes, *layer.moves)
    launches = []
    for run in _runs(layer):
        threads = layer.images * layer.out_size[0] * parts(layer.out_size[1], run) * adder.shape[0]
        name = f"l1_depthwise_forward<{_types(x, y)},{_row(layer, run)}>"
        launches.append(Launch(name, (parts(threads, THREADS), 1), THREADS, arguments))
    return launches


def _runs(layer: Layer) -> tuple[int, ...]:
    """Outputs along a row that a thread may take together."""
    kernel, stride, dilation = (pair[1] for pair in (layer.geometry.kernel, layer.geometry.stride, layer.geometry.dilation))
    return *(run for run in (8, 4, 2) if dilation == 1 and (run - 1) * stride + kernel <= SPAN), 1


def _row(layer: Layer, run: int) -> str:
    """Width of the filters, stride where it matters, and outputs that a thread takes."""
    return f"{layer.geometry.kernel[1]},{layer.geometry.stride[1] if run > 1 else 1},{run}"


def _depthwise_input_gradient(gradient: Tensor, x: Tensor, adder: Tensor, result: Tensor, layer: Layer) -> list[Launch]:
    (height, width), (kernel_height, kernel), (down, across) = layer.size, layer.geometry.kernel, layer.geometry.stride
    filters, types, outputs = by_taps(adder), _types(gradient, x), adder.shape[0]
    launches, (above, left), (below, beside) = [], layer.geometry.padding, layer.geometry.dilation
    for run in (8, 4):  # of inputs
        if layer.outputs == beside == 1 and run % across == 0 and run + kernel <= SPAN:
            sizes = *(layer.images, height, width, outputs, *layer.out_size, kernel_height), *(down, above, left, below)
            threads = layer.images * height * parts(width + left % across, run) * outputs
            name = f"l1_depthwise_input_gradient_by_runs<{types},{kernel},{across},{run}>"
            launches.append(Launch(name, (parts(threads, THREADS), 1), THREADS, (gradient, x, filters, result, *sizes)))
    name, grid = f"l1_depthwise_input_gradient<{types}>", (parts(x.numel(), THREADS), 1)
    every: Arguments = (gradient, x, filters, result, *layer.depthwise_sizes, kernel, *layer.moves)
    return [*launches, Launch(name, grid, THREADS, every)]


def _depthwise_sign_gradient(gradient: Tensor, x: Tensor, adder: Tensor, results: Tensor, layer: Layer) -> list[Launch]:
    arguments: Arguments = (gradient, x, by_taps(adder), results, *layer.depthwise_sizes, *layer.moves)
    blocks = parts(adder.shape[0], LANES) * layer.geometry.kernel[0] * results.shape[0]
    launches = []
    for run in _runs(layer):
        share = parts(layer.images * layer.out_size[0] * parts(layer.out_size[1], run), results.shape[0])
        name = f"l1_depthwise_sign_filter_gradient<{_types(gradient, x)},{_row(layer, run)}>"
        launches.append(Launch(name, (blocks, 1), THREADS, (*arguments, share)))
    return launches
