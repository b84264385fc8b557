"""The adder layer as torch operators ``addersim::l1_*``, so that autograd, torch.compile and export know it.

Memory stays within inputs, filters and outputs: nothing of the size outputs x window x pixels is ever held.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from addersim import kernels
from addersim.errors import DataError

__all__ = ["l1_filter_gradient", "l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"]

Pair = Sequence[int]


def _array(name: str, tensor: Tensor, *, filters: bool = False) -> np.ndarray[Any, Any]:
    """A float32 tensor's channels-last form as an array: a view where it is stored so, else a copy."""
    if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
        raise DataError(f"adder layer: {name} is {tensor.dtype} on {tensor.device}; the kernels run float32 on cpu")
    return tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2)


def _geometry(stride: Pair, padding: Pair, dilation: Pair, groups: int) -> dict[str, Any]:
    return {
        "stride": tuple(stride),
        "padding": tuple(padding),
        "dilation": tuple(dilation),
        "groups": groups,
        "threads": torch.get_num_threads(),
    }


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
    geometry = _geometry(stride, padding, dilation, groups)
    return _tensor(kernels.l1_forward(_array("input", x), _array("filters", adder), **geometry))


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
    arrays = _array("gradient", gradient), _array("input", x), _array("filters", adder)
    return _tensor(kernels.l1_input_gradient(*arrays, **_geometry(stride, padding, dilation, groups)))


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
    arrays = _array("gradient", gradient), _array("input", x), _array("filters", adder)
    return _tensor(kernels.l1_sign_filter_gradient(*arrays, **_geometry(stride, padding, dilation, groups)))


@l1_sign_filter_gradient.register_fake
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    return torch.empty_like(adder, memory_format=torch.channels_last)


@l1_sign_filter_gradient.register_kernel("cuda")
def _(gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    result: Tensor = _for_cuda(x).l1_sign_filter_gradient(gradient, x, adder, stride, padding, dilation, groups)
    return result


def l1_filter_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Sum of ``(X - F) g`` over images and pixels: a convolution's weight gradient less ``F`` times the sum of ``g``."""
    values, filters = x.to(gradient.dtype), adder.to(gradient.dtype)
    products: Tensor
    if (*adder.shape[2:], *stride, *padding, groups) == (1, 1, 1, 1, 0, 0, 1):  # one matrix product: less to set up
        by_output, by_input = (one.movedim(1, -1).flatten(0, -2) for one in (gradient, values))
        products = (by_output.T @ by_input)[:, :, None, None]
    else:
        products = torch.ops.aten.convolution_backward(
            gradient, values, filters, None, stride, padding, dilation, False, (0, 0), groups, (False, True, False)
        )[1]
    return (products - filters * gradient.sum((0, 2, 3))[:, None, None, None]).to(adder.dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, adder, *ctx.geometry, ctx.sign = inputs
    ctx.save_for_backward(x, adder)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, adder = ctx.saved_tensors
    input_gradient = filter_gradient = None
    if ctx.needs_input_grad[0]:
        input_gradient = l1_input_gradient(gradient, x, adder, *ctx.geometry)
    if ctx.needs_input_grad[1]:
        rule = l1_sign_filter_gradient if ctx.sign else l1_filter_gradient
        filter_gradient = rule(gradient, x, adder, *ctx.geometry)
    return input_gradient, filter_gradient, None, None, None, None, None


l1_forward.register_autograd(_backward, setup_context=_keep)
# The CPU kernels run float32 only. Those for CUDA read float16 and bfloat16 as they are: no rule is needed there, and the
# output takes the wider type of input and filters, float32 under autocast, because sums outgrow float16.
l1_forward.register_autocast("cpu", torch.float32)
