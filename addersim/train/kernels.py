"""The adder layer as torch operators ``addersim::l1_*``, so that autograd, torch.compile and export know it.

Memory stays within inputs, filters and outputs: nothing of the size outputs x window x pixels is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from addersim import kernels
from addersim.arithmetic.geometry import Geometry
from addersim.errors import DataError
from addersim.train import doubles
from addersim.train.precision import whole_products, widened
from addersim.train.transforms import transformable

__all__ = ["check_types", "l1", "l1_filter_gradient", "l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"]

Pair = Sequence[int]
KINDS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_types(**operands: Tensor) -> torch.dtype:
    """The one floating type of all operands; a DataError where they have several."""
    (first, one), *others = operands.items()
    if one.dtype not in KINDS:
        raise DataError(f"adder layer: {first} is {one.dtype}; needs one of {', '.join(map(str, KINDS))}")
    for name, other in others:
        if other.dtype != one.dtype:
            raise DataError(
                f"adder layer: {first} is {one.dtype} and {name} {other.dtype}; give both one type, as by x.to(adder.dtype)"
            )
    return one.dtype


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor's channels-last form as a float32 array: a view where it is stored so, else a copy; halves lose nothing."""
    return tensor.detach().permute(0, 2, 3, 1).float().contiguous().numpy()


def _tensor(array: np.ndarray[Any, Any], kind: torch.dtype) -> Tensor:
    return torch.from_numpy(array.transpose(0, 3, 1, 2)).to(kind)  # no view of a tensor: those take no change in place


def _run(run: Callable[..., Any], in_doubles: Callable[..., Tensor], geometry: tuple[Any, ...], **operands: Tensor) -> Tensor:
    """A float32 kernel on operands of one type, rounded once to it; float64 by the twin, for it would lose its digits."""
    kind, tensors = check_types(**operands), operands.values()
    stride, padding, dilation, groups = geometry
    moves = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    if kind == torch.float64:
        x, adder = operands["input"], operands["filters"]
        window = Geometry((adder.shape[2], adder.shape[3]), **moves)
        window.output_shape(
            *(tuple(one.movedim(1, -1).shape) for one in (x, adder))
        )  # what fits not is told as by the kernels
        return in_doubles(*(one.detach() for one in tensors), window).contiguous(memory_format=torch.channels_last)
    return _tensor(run(*map(_array, tensors), **moves, threads=torch.get_num_threads()), kind)


def _for_cuda(x: Tensor) -> Any:
    """The kernels for a tensor on a GPU: those in CUDA C++ where they can be compiled for it, else Triton's."""
    from addersim.train.cuda import device, launches

    if device.is_usable(x.device):
        return launches
    if not find_spec("triton"):
        raise DataError(
            f"adder layer: input is on {x.device}, for which no kernels can be compiled: pip install 'addersim[cuda]' "
            f"(compute capability 8.0 or newer) or triton, or move the layer to the cpu"
        )
    from addersim.train import triton_kernels

    return triton_kernels


@torch.library.custom_op("addersim::l1_forward", mutates_args=(), device_types="cpu")
def l1_forward(x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, sign: bool) -> Tensor:
    """``Y = -sum |X - F|``; `sign` chooses the filter gradient. Shapes as in `addersim.train.reference.l1_forward`."""
    geometry = stride, padding, dilation, groups
    return _run(partial(kernels.l1_forward, paired=True), doubles.l1_forward, geometry, input=x, filters=adder)


@l1_forward.register_fake
def _(x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, sign: bool) -> Tensor:
    size = [(x.shape[2 + i] + 2 * padding[i] - dilation[i] * (adder.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    y = x.new_empty((x.shape[0], adder.shape[0], *size), dtype=torch.promote_types(x.dtype, adder.dtype))
    return y.to(memory_format=torch.channels_last)


@l1_forward.register_kernel("cuda")
def _(x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, sign: bool) -> Tensor:
    result: Tensor = _for_cuda(x).l1_forward(x, adder, stride, padding, dilation, groups)
    return result


@torch.library.custom_op("addersim::l1_input_gradient", mutates_args=(), device_types="cpu")
def l1_input_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Sum of ``HardTanh(F - X) g`` over outputs and windows; the shape of `x`."""
    geometry, operands = (stride, padding, dilation, groups), {"gradient": gradient, "input": x, "filters": adder}
    return _run(kernels.l1_input_gradient, doubles.l1_input_gradient, geometry, **operands)


@l1_input_gradient.register_fake
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


@l1_input_gradient.register_kernel("cuda")
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    result: Tensor = _for_cuda(x).l1_input_gradient(gradient, x, adder, stride, padding, dilation, groups)
    return result


@torch.library.custom_op("addersim::l1_sign_filter_gradient", mutates_args=(), device_types="cpu")
def l1_sign_filter_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Sum of ``sgn(X - F) g`` over images and pixels; the shape of `adder`."""
    geometry, operands = (stride, padding, dilation, groups), {"gradient": gradient, "input": x, "filters": adder}
    return _run(kernels.l1_sign_filter_gradient, doubles.l1_sign_filter_gradient, geometry, **operands)


@l1_sign_filter_gradient.register_fake
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    return torch.empty_like(adder, memory_format=torch.channels_last)


@l1_sign_filter_gradient.register_kernel("cuda")
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    result: Tensor = _for_cuda(x).l1_sign_filter_gradient(gradient, x, adder, stride, padding, dilation, groups)
    return result


@torch.library.custom_op("addersim::l1_filter_gradient", mutates_args=())
def l1_filter_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Sum of ``(X - F) g`` over images and pixels: a convolution's weight gradient less ``F`` times the sum of ``g``."""
    wide = torch.promote_types(gradient.dtype, torch.float32)  # two large sums are subtracted: halves would leave no digit
    gradient, values, filters = gradient.to(wide), x.to(wide), adder.to(wide)
    with whole_products(x):
        products = _products(gradient, values, filters, stride, padding, dilation, groups)
    sums = gradient.sum((2, 3)).sum(0)  # image by image: torch adds long columns of few channels slowly
    # Laid out as the filters, whatever the products are: torch.compile is told so, and stops where it is not.
    return torch.sub(products, filters * sums[:, None, None, None], out=torch.empty_like(adder))


def _products(
    gradient: Tensor, values: Tensor, filters: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    if (*filters.shape[2:], *stride, *padding, groups) == (1, 1, 1, 1, 0, 0, 1):  # one matrix product: less to set up
        by_output, by_input = (one.movedim(1, -1).flatten(0, -2) for one in (gradient, values))
        return (by_output.T @ by_input)[:, :, None, None]
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, values, filters, None, stride, padding, dilation, False, (0, 0), groups, (False, True, False)
    )[1]
    return found


@l1_filter_gradient.register_fake
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    return torch.empty_like(adder)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, adder, *ctx.geometry, ctx.sign = inputs
    ctx.save_for_backward(x, adder)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, adder = ctx.saved_tensors
    input_gradient = filter_gradient = None
    if ctx.needs_input_grad[0]:
        input_gradient = by_input(gradient, x, adder, *ctx.geometry)
    if ctx.needs_input_grad[1]:
        rule = by_filters_sign if ctx.sign else by_filters
        filter_gradient = rule(gradient, x, adder, *ctx.geometry)
    return input_gradient, filter_gradient, None, None, None, None, None


by_input = transformable(l1_input_gradient, 2)
by_filters = transformable(l1_filter_gradient, 2, gives_filters=True)
by_filters_sign = transformable(l1_sign_filter_gradient, 2, gives_filters=True)
_l1 = transformable(l1_forward, 1, keep=_keep, backward=_backward)
l1_forward.register_autograd(_backward, setup_context=_keep)


def l1(x: Tensor, adder: Tensor, *geometry: Any) -> Tensor:
    """`l1_forward` as layers call it: in transforms of torch.func, and in float32 where autocast has made halves on the CPU.

    Those for CUDA read float16 and bfloat16 as they are: no rule is needed there, and the output takes the wider type of input
    and filters, float32 under autocast, because sums outgrow float16.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        x, adder = widened(x), widened(adder)
    return _l1(x, adder, *geometry)
