"""One adder layer, forward and backward, beside the formula written with broadcasting and PyTorch's convolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from addersim.arithmetic.geometry import Geometry
from addersim.train import kernels, reference
from tests.bench.timing import Pace, medians

__all__ = ["LAYERS", "rows"]

LAYERS = {  # channels, height, width, outputs, kernel, stride, padding
    "LeNet-5 conv1": (1, 28, 28, 6, 5, 1, 2),
    "LeNet-5 conv2": (6, 14, 14, 16, 5, 1, 0),
    "LeNet-5 fc1": (400, 1, 1, 120, 1, 1, 0),
    "ResNet-20 stage 1": (16, 32, 32, 16, 3, 1, 1),
    "ResNet-20 stage 2": (32, 16, 16, 32, 3, 1, 1),
    "ResNet-20 stage 3": (64, 8, 8, 64, 3, 1, 1),
    "ResNet-20 into stage 2": (16, 32, 32, 32, 3, 2, 1),
    "ResNet-20 into stage 3": (32, 16, 16, 64, 3, 2, 1),
    "ResNet-20 shortcut 2": (16, 32, 32, 32, 1, 2, 0),
    "ResNet-20 shortcut 3": (32, 16, 16, 64, 1, 2, 0),
}


def rows(threads: int, pace: Pace, batch: int = 32, chosen: Mapping[str, tuple[int, ...]] = LAYERS) -> list[dict[str, Any]]:
    """A row a layer: milliseconds of the three, the formula's ratio to ours, and ours to the convolution's."""
    torch.set_num_threads(threads)
    found = []
    for name, layer in chosen.items():
        times = {what: 1e3 * seconds for what, seconds in medians(steps(layer, batch), pace).items()}
        ratios = {"formula / adder": times["formula"] / times["adder"], "adder / conv2d": times["adder"] / times["conv2d"]}
        found.append({"layer": name, "threads": threads, **times, **ratios})
    return found


def steps(layer: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    """One training step of the layer: by the kernels, by the formula, by a convolution; all three gradients each."""
    channels, height, width, outputs, kernel, stride, padding = layer
    random = torch.Generator().manual_seed(1)
    x = torch.randn((batch, channels, height, width), generator=random).contiguous(memory_format=torch.channels_last)
    filters = torch.randn((outputs, channels, kernel, kernel), generator=random).contiguous(memory_format=torch.channels_last)
    geometry = Geometry((kernel, kernel), (stride, stride), (padding, padding))
    moves = geometry.stride, geometry.padding, geometry.dilation, 1
    gradient = torch.randn(kernels.l1_forward(x, filters, *moves, False).shape, generator=random)
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    wanted = [tensor.clone().requires_grad_() for tensor in (x, filters)]

    def by_kernels() -> object:
        return torch.autograd.grad(kernels.l1_forward(*wanted, *moves, False), wanted, gradient)

    def by_formula() -> tuple[Tensor, ...]:
        forward = reference.l1_forward(x, filters, geometry)
        by_filters = reference.l1_filter_gradient(gradient, x, filters, geometry)
        return forward, by_filters, reference.l1_input_gradient(gradient, x, filters, geometry)

    def by_convolution() -> object:
        return torch.autograd.grad(functional.conv2d(*wanted, None, stride, padding), wanted, gradient)

    return {"adder": by_kernels, "formula": by_formula, "conv2d": by_convolution}
