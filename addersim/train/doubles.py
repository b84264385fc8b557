"""The adder layer in float64 on the CPU: the slow twin in pieces, since the kernels are float32 and a double must stay one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from addersim.arithmetic.geometry import Geometry
from addersim.train import reference

__all__ = ["l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"]

MOST = 1 << 22
"""Numbers that a piece may hold: some 32 MiB."""


def l1_forward(x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """As `addersim.train.reference.l1_forward`."""
    size = geometry.output_size(*x.shape[2:])
    y = x.new_empty(x.shape[0], adder.shape[0], *size)
    for images, filters in _pieces(x, adder, geometry, size):
        y[images, filters] = reference.l1_forward(x[images], adder[filters], geometry)
    return y


def l1_input_gradient(gradient: Tensor, x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """As `addersim.train.reference.l1_input_gradient`."""
    found = torch.zeros_like(x)
    for images, filters in _pieces(x, adder, geometry, gradient.shape[2:]):
        found[images] += reference.l1_input_gradient(gradient[images, filters], x[images], adder[filters], geometry)
    return found


def l1_sign_filter_gradient(gradient: Tensor, x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """As `addersim.train.reference.l1_filter_gradient` with ``sign``."""
    found = torch.zeros_like(adder)
    rule: Callable[..., Tensor] = reference.l1_filter_gradient
    for images, filters in _pieces(x, adder, geometry, gradient.shape[2:]):
        found[filters] += rule(gradient[images, filters], x[images], adder[filters], geometry, sign=True)
    return found


def _pieces(x: Tensor, adder: Tensor, geometry: Geometry, size: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """An image at a time and, without groups, as many filters as a piece may hold."""
    outputs = len(adder)
    step = max(1, MOST // max(1, adder[0].numel() * size[0] * size[1])) if geometry.groups == 1 else outputs
    for image in range(len(x)):
        for first in range(0, outputs, step):
            yield slice(image, image + 1), slice(first, first + step)
