"""Functions of numbers in float32, as frameworks define them, for tables of codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow

__all__ = [
    "elu",
    "erf",
    "gelu",
    "gelu_of_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "per_channel",
    "sigmoid",
    "softplus",
]

Array = np.ndarray[Any, Any]
_F = np.float32
erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float32])
"""The error function, each in float64 and rounded."""


def sigmoid(x: Array) -> Array:
    return np.asarray(_F(1) / (_F(1) + np.exp(-x)))


def softplus(x: Array) -> Array:
    return np.asarray(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))


def mish(x: Array) -> Array:
    return np.asarray(x * np.tanh(softplus(x)))


def hard_sigmoid(x: Array, slope: float, middle: float) -> Array:
    """A straight line between 0 and 1."""
    return np.asarray(np.clip(_F(slope) * x + _F(middle), _F(0), _F(1)))


def hard_swish(x: Array) -> Array:
    return np.asarray(x * hard_sigmoid(x, 1 / 6, 0.5))


def leaky_relu(x: Array, slope: Any) -> Array:
    """A slope of one number, or one a column."""
    return np.where(x >= 0, x, np.asarray(slope, np.float32) * x)


def elu(x: Array, alpha: float) -> Array:
    return np.where(x >= 0, x, _F(alpha) * np.expm1(np.minimum(x, 0)))


def gelu(x: Array) -> Array:
    return np.asarray(_F(0.5) * x * (1 + erf(x / _F(math.sqrt(2)))))


def gelu_of_tanh(x: Array) -> Array:
    """The same by its approximation."""
    return np.asarray(_F(0.5) * x * (1 + np.tanh(_F(math.sqrt(2 / math.pi)) * (x + _F(0.044715) * x**3))))


def per_channel(constant: Array, flow: Flow, channels: int) -> Array:
    """A constant beside a value as a function of each number takes it, in float32: one number, or one a channel of its layer.

    Raises
    ------
    LoweringError
        For a constant that differs along any other axis.
    """
    if constant.size == 1:
        return constant.reshape(1).astype(np.float32)
    rank = flow.rank + 1
    wide = constant.reshape((1,) * (rank - constant.ndim) + constant.shape) if constant.ndim <= rank else constant
    places = [axis for axis, size in enumerate(wide.shape) if size != 1]
    if len(places) == 1 and places[0] and wide.size == channels and flow.front(places[0] - 1).keeps_channels():
        return wide.reshape(-1).astype(np.float32)
    raise LoweringError(
        f"a constant of shape {constant.shape} beside images x {flow.shape}; expected one number or one a channel"
    )
