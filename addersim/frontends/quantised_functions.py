"""Functions of numbers in float32, as frameworks define them, for tables of codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["elu", "erf", "gelu", "gelu_of_tanh", "hard_sigmoid", "hard_swish", "leaky_relu", "mish", "sigmoid", "softplus"]

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
