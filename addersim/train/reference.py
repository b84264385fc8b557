"""The adder layer written from its definition with torch broadcasting: the slow twin, in any floating type.

Every function holds a tensor of outputs x window x pixels, which is what makes this form slow and large.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from addersim.arithmetic.geometry import Geometry

__all__ = ["l1_filter_gradient", "l1_forward", "l1_input_gradient"]


def _columns(x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """Inputs under each window, of shape (images, groups, 1, taps, pixels)."""
    columns = functional.unfold(x, adder.shape[2:], geometry.dilation, geometry.padding, geometry.stride)
    return columns.reshape(x.shape[0], geometry.groups, 1, adder[0].numel(), -1)


def _filters(adder: Tensor, geometry: Geometry) -> Tensor:
    """Filters of shape (groups, outputs of a group, taps, 1)."""
    return adder.reshape(geometry.groups, -1, adder[0].numel(), 1)


def l1_forward(x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """``Y = -sum |X - F|`` (arXiv 1912.13200); padded inputs are zeros and count.

    Parameters
    ----------
    x
        Inputs, of shape (images, channels, height, width).
    adder
        Filters, of shape (outputs, channels / groups, kernel height, kernel width).
    geometry
        Kernel, stride, padding, dilation and groups.

    Returns
    -------
    Tensor of shape (images, outputs, output height, output width).
    """
    size = geometry.output_size(*x.shape[2:])
    sums = -(_columns(x, adder, geometry) - _filters(adder, geometry)).abs().sum(3)
    return sums.reshape(x.shape[0], adder.shape[0], *size)


def l1_filter_gradient(gradient: Tensor, x: Tensor, adder: Tensor, geometry: Geometry, sign: bool = False) -> Tensor:
    """Sum over pixels of ``(X - F) g``, the full-precision gradient, or of ``sgn(X - F) g``."""
    difference = _columns(x, adder, geometry) - _filters(adder, geometry)
    upstream = gradient.reshape(x.shape[0], geometry.groups, -1, 1, gradient[0, 0].numel())
    return ((difference.sign() if sign else difference) * upstream).sum((0, 4)).reshape(adder.shape)


def l1_input_gradient(gradient: Tensor, x: Tensor, adder: Tensor, geometry: Geometry) -> Tensor:
    """Sum over outputs of ``HardTanh(F - X) g``, added up over the windows in which an input lies."""
    difference = _filters(adder, geometry) - _columns(x, adder, geometry)
    upstream = gradient.reshape(x.shape[0], geometry.groups, -1, 1, gradient[0, 0].numel())
    columns = (difference.clamp(-1, 1) * upstream).sum(2).reshape(x.shape[0], -1, upstream.shape[-1])
    return functional.fold(columns, x.shape[2:], adder.shape[2:], geometry.dilation, geometry.padding, geometry.stride)
