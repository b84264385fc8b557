"""Window layers on float32, and the gradients of adder layers that are not matrix products."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import arithmetic as find_arithmetic
from addersim.arithmetic.geometry import Geometry
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.kernels.checks import Moves, check_array, check_threads, check_window
from addersim.kernels.core import ARITHMETIC_NUMBERS, chosen_set, core, geometry_numbers

__all__ = ["forward", "l1_forward", "l1_input_gradient", "l1_sign_filter_gradient", "mac_forward"]

Floats = npt.NDArray[np.float32]


def _floats(what: str, values: npt.NDArray[Any]) -> Floats:
    return check_array(what, values, ("float32",))


def _backward(gradient: Floats, x: Floats, weights: Floats, moves: Moves) -> tuple[Floats, Floats, Floats, Geometry]:
    gradient, x, weights = _floats("gradient", gradient), _floats("x", x), _floats("weights", weights)
    geometry, wanted = check_window(x, weights, moves)
    if gradient.shape != wanted:
        raise NetworkError(f"gradient: shape {gradient.shape}; the layer's output has {wanted}")
    return gradient, x, weights, geometry


def forward(
    x: Floats,
    weights: Floats,
    *,
    arithmetic: str,
    paired: bool = False,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """Window layer on floats: the sum of an arithmetic's terms over each window; padding is an operand of value zero.

    Parameters
    ----------
    x
        float32 ``(images, height, width, channels)``
    weights
        float32 ``(outputs, kernel_height, kernel_width, channels / groups)``
    arithmetic
        A name in `addersim.arithmetic.arithmetics.ARITHMETICS`, such as ``l1`` for ``-sum |x - w|`` (arXiv 1912.13200, eq. 2).
    paired
        Whether ``l1`` may round two neighbouring channels together where that is faster (AVX-512), as training does; sums of
        codes stay exact. Without it a layer's sums are the same on every processor but for the order of rounding.
    stride, padding, far_padding, dilation, groups
        See `addersim.arithmetic.geometry.Geometry`.
    threads
        How many; None takes what OpenMP would. The result does not depend on it.

    Returns
    -------
    float32 ``(images, out_height, out_width, outputs)``. Sums are rounded in float32. Operands in float64 are summed by the
    slow twin, in float64.

    Examples
    --------
    >>> x, w = np.array([[[[1.0, -2.0]]]], np.float32), np.array([[[[-1.0, 1.0]]]], np.float32)
    >>> [forward(x, w, arithmetic=name).item() for name in ("l1", "mac", "l2")]
    [-5.0, -3.0, -13.0]
    """
    if getattr(x, "dtype", None) == np.float64:
        return reference.forward(x, weights, arithmetic=arithmetic, threads=threads, **moves)
    x, weights, count = _floats("x", x), _floats("weights", weights), check_threads(threads)
    number = ARITHMETIC_NUMBERS[find_arithmetic(arithmetic).name]
    geometry, shape = check_window(x, weights, moves)
    y = np.empty(shape, np.float32)
    if y.size:
        core.forward(x, weights, y, geometry_numbers(geometry, x.shape, y.shape), number, paired, chosen_set(), count)
    return y


def l1_forward(x: Floats, weights: Floats, **how: Any) -> Floats:
    """`forward` of adder layers."""
    return forward(x, weights, arithmetic="l1", **how)


def mac_forward(x: Floats, weights: Floats, **how: Any) -> Floats:
    """`forward` of multiplying layers."""
    return forward(x, weights, arithmetic="mac", **how)


def l1_input_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """Gradient of `l1_forward` for x, with the sign clipped to HardTanh (arXiv 1912.13200, eq. 6).

    ``sum gradient * clamp(w - x, -1, 1)`` over the outputs that see a pixel.

    Parameters
    ----------
    gradient
        float32 ``(images, out_height, out_width, outputs)``
    x, weights, stride, padding, far_padding, dilation, groups, threads
        As in `l1_forward`.

    Returns
    -------
    float32, of the shape of `x`
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, moves)
    out, count = np.empty(x.shape, np.float32), check_threads(threads)
    if out.size:
        numbers = geometry_numbers(geometry, x.shape, gradient.shape)
        core.l1_input_gradient(gradient, x, weights, out, numbers, chosen_set(), count)
    return out


def l1_sign_filter_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """Gradient of `l1_forward` for the weights as it is, without the paper's full-precision form (arXiv 1912.13200, eq. 4).

    ``sum gradient * sign(x - w)`` over all windows. Arguments as in `l1_input_gradient`; the result has `weights`' shape.
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, moves)
    out, count = np.zeros(weights.shape, np.float32), check_threads(threads)
    if gradient.size:
        numbers = geometry_numbers(geometry, x.shape, gradient.shape)
        core.l1_sign_filter_gradient(gradient, x, weights, out, numbers, chosen_set(), count)
    return out
