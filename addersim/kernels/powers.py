"""Layers of ``-sum |x - w|^power`` in float32, on unfolded images, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import FormatError, NetworkError
from addersim.kernels.checks import check_array, check_threads
from addersim.kernels.core import chosen_set, core

__all__ = ["power_filter_gradient", "power_forward", "power_input_gradient"]

Floats = npt.NDArray[np.floating[Any]]


def power_forward(x: Floats, weights: Floats, power: float, *, threads: int | None = None) -> Floats:
    """``-sum |x - w|^power`` over taps.

    Parameters
    ----------
    x
        float32 ``(groups, taps, count)``: what each place of a window sees, as `torch.nn.functional.unfold` gives it.
    weights
        float32 ``(groups, outputs, taps)``
    power
        1..2
    threads
        Number of threads; None: as many as the work is worth.

    Returns
    -------
    float32 ``(groups, outputs, count)``. Powers are right to some 2^-20 of themselves.

    Examples
    --------
    >>> x, w = np.array([[[1.0], [4.0]]], np.float32), np.array([[[5.0, 0.0]]], np.float32)
    >>> round(float(power_forward(x, w, 1.5).item()), 3)
    -16.0
    """
    x, weights, count = _checked(x, weights, power, threads)
    y = np.empty((*weights.shape[:2], x.shape[2]), np.float32)
    if y.size:
        core.power_forward(x, weights, power, y, chosen_set(), count)
    return y


def power_input_gradient(gradient: Floats, x: Floats, weights: Floats, power: float, *, threads: int | None = None) -> Floats:
    """``-sum gradient * power |x - w|^(power - 1) sgn(x - w)`` over outputs: the gradient for `x`, of its shape."""
    x, weights, count = _checked(x, weights, power, threads)
    gradient, out = _gradient(gradient, x, weights), np.empty(x.shape, np.float32)
    if out.size:
        core.power_input_gradient(gradient, x, weights, power, out, chosen_set(), count)
    return out


def power_filter_gradient(gradient: Floats, x: Floats, weights: Floats, power: float, *, threads: int | None = None) -> Floats:
    """``sum gradient * power |x - w|^(power - 1) sgn(x - w)`` over places: the gradient for `weights`, of their shape."""
    x, weights, count = _checked(x, weights, power, threads)
    gradient, out = _gradient(gradient, x, weights), np.zeros(weights.shape, np.float32)
    if gradient.size:
        core.power_filter_gradient(gradient, x, weights, power, out, chosen_set(), count)
    return out


def _checked(x: Floats, weights: Floats, power: float, threads: int | None) -> tuple[Floats, Floats, int]:
    x, weights = check_array("x", x, ("float32",)), check_array("weights", weights, ("float32",))
    if x.ndim != 3 or weights.ndim != 3 or x.shape[:2] != (weights.shape[0], weights.shape[2]):
        raise NetworkError(
            f"x has shape {x.shape} and weights {weights.shape}; needs (groups, taps, count) and (groups, outputs, taps)"
        )
    if not 1 <= power <= 2:
        raise FormatError(f"power: found {power}, needs a number in 1..2")
    return x, weights, check_threads(threads)


def _gradient(gradient: Floats, x: Floats, weights: Floats) -> Floats:
    gradient, shape = check_array("gradient", gradient, ("float32",)), (*weights.shape[:2], x.shape[2])
    if gradient.shape != shape:
        raise NetworkError(f"gradient: shape {gradient.shape}; the layer's output has {shape}")
    return gradient
