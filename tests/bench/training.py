"""Times of one adder layer, forward and backward, beside the formula written with broadcasting and PyTorch's convolution.

    python -m tests.bench.training [--threads 2] [--batch 32] [--repeats 7]

The three take turns, and the fastest of the repeats counts, so that what else the machine does weighs on all alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from addersim.geometry import Geometry
from addersim.train import kernels, reference

LAYERS = {  # channels, height, width, outputs, kernel, stride, padding
    "LeNet-5 conv1": (1, 28, 28, 6, 5, 1, 2),
    "LeNet-5 conv2": (6, 14, 14, 16, 5, 1, 0),
    "LeNet-5 fc1": (400, 1, 1, 120, 1, 1, 0),
    "ResNet-20 stage 1": (16, 32, 32, 16, 3, 1, 1),
    "ResNet-20 stage 2": (32, 16, 16, 32, 3, 1, 1),
    "ResNet-20 stage 3": (64, 8, 8, 64, 3, 1, 1),
    "ResNet-20 into stage 3": (32, 16, 16, 64, 3, 2, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("threads", 2), ("batch", 32), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"forward + backward, milliseconds, batch {given.batch}, {given.threads} threads, torch {torch.__version__}")
    print(f"{'layer':24}{'adder':>10}{'formula':>10}{'conv2d':>10}{'formula/adder':>16}{'adder/conv2d':>14}")
    for name, layer in LAYERS.items():
        adder, formula, conv = measure(steps(layer, given.batch), given.repeats)
        times = f"{1e3 * adder:10.2f}{1e3 * formula:10.2f}{1e3 * conv:10.2f}"
        print(f"{name:24}{times}{formula / adder:16.1f}{adder / conv:14.2f}")


def steps(layer: tuple[int, ...], batch: int) -> tuple[Callable[[], object], ...]:
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

    return by_kernels, by_formula, by_convolution


def measure(calls: tuple[Callable[[], object], ...], repeats: int) -> list[float]:
    """Fastest time of each call in seconds, taking turns, after one turn to warm up."""
    best = [float("inf")] * len(calls)
    for turn in range(repeats + 1):
        for place, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            if turn:
                best[place] = min(best[place], time.perf_counter() - begin)
    return best


if __name__ == "__main__":
    main()
