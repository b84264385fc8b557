"""Functions of one number, point by point: what they give, where they are defined, and when nothing they give is negative.

All are evaluated in float64, without warnings: beyond its domain a function gives NaN, beyond float64 infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FUNCTIONS", "Function", "erf"]

Array = npt.NDArray[Any]

_ERF_ONE = 6.0
"""From here on erf is one in float64."""


@lru_cache(maxsize=1)
def _erf_polynomial() -> np.polynomial.Chebyshev:
    """``erf(x) / x`` as a polynomial in ``x * x``, through values of `math.erf`: smooth, so that few terms are enough."""

    def ratio(squares: Array) -> Array:
        return np.array([math.erf(root) / root for root in np.sqrt(squares)])

    return np.polynomial.Chebyshev.interpolate(ratio, 50, domain=[0.0, _ERF_ONE**2])


def erf(x: Array) -> Array:
    """The error function in float64, to 1e-13.

    Examples
    --------
    >>> bool(abs(erf(np.array([0.5]))[0] - math.erf(0.5)) < 1e-13)
    True
    """
    near = np.clip(x, -_ERF_ONE, _ERF_ONE)
    found: Array = near * _erf_polynomial()(near * near)
    return np.clip(found, -1.0, 1.0)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _softplus(x: Array, beta: float, threshold: float) -> Array:
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, x * beta) / beta)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _leaky_relu(x: Array, slope: Any) -> Array:
    return np.where(x >= 0, x, slope * x)


def _threshold(x: Array, least: float, other: float) -> Array:
    return np.where(x > least, x, other)


def _always(positive: bool, *constants: float) -> bool:
    return True


def _never(positive: bool, *constants: float) -> bool:
    return False


def _as_input(positive: bool, *constants: float) -> bool:
    return positive


@dataclass(frozen=True, slots=True)
class Function:
    """A function of one number.

    Attributes
    ----------
    compute
        Values for a float64 array and the constants.
    constants
        Names and usual values of the constants, in order; NaN where there is no usual one.
    never_negative
        Whether no value is negative, from whether no input is, and the constants.
    domain
        Smallest and largest number for which it is defined, from the constants.
    per_channel
        Whether it also takes a slope for each channel.
    """

    compute: Callable[..., Array]
    constants: Mapping[str, float] = field(default_factory=dict)
    never_negative: Callable[..., bool] = _as_input
    domain: Callable[..., tuple[float, float]] = lambda *constants: (-math.inf, math.inf)
    per_channel: bool = False

    def __call__(self, x: Array, *constants: Any) -> Array:
        """Values in float64."""
        with np.errstate(all="ignore"):
            return self.compute(np.asarray(x, np.float64), *constants)

    def nearest(self, x: Array, *constants: Any) -> Array:
        """As a call, with what lies outside the domain moved to its end: never NaN."""
        return self(np.clip(x, *self.domain(*(() if self.per_channel else constants))), *constants)


def _from(low: float, high: float = math.inf) -> Callable[..., tuple[float, float]]:
    return lambda *constants: (low, high)


_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772, 1.0507009873554805

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "sigmoid": Function(_sigmoid, never_negative=_always),
        "tanh": Function(np.tanh),
        "silu": Function(lambda x, beta: x * _sigmoid(beta * x), {"beta": 1.0}),
        "gelu": Function(lambda x: 0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))),
        "gelu_tanh": Function(_gelu_tanh),
        "hard_sigmoid": Function(_hard_sigmoid, {"alpha": 0.2, "beta": 0.5}, _always),
        "hard_swish": Function(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)),
        "leaky_relu": Function(_leaky_relu, {"slope": 0.01}, lambda positive, slope: positive or slope <= 0),
        "prelu": Function(_leaky_relu, per_channel=True),
        "elu": Function(_elu, {"alpha": 1.0}),
        "selu": Function(lambda x, alpha, gamma: gamma * _elu(x, alpha), {"alpha": _SELU_ALPHA, "gamma": _SELU_GAMMA}),
        "celu": Function(lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x / alpha, 0.0))), {"alpha": 1.0}),
        "softplus": Function(_softplus, {"beta": 1.0, "threshold": 20.0}, lambda positive, beta, threshold: beta > 0),
        "softsign": Function(lambda x: x / (1.0 + np.abs(x))),
        "mish": Function(lambda x: x * np.tanh(np.logaddexp(0.0, x))),
        "logsigmoid": Function(lambda x: -np.logaddexp(0.0, -x), never_negative=_never),
        "hard_shrink": Function(lambda x, bound: np.where(np.abs(x) > bound, x, 0.0), {"bound": 0.5}),
        "soft_shrink": Function(lambda x, bound: np.sign(x) * np.maximum(np.abs(x) - bound, 0.0), {"bound": 0.5}),
        "tanhshrink": Function(lambda x: x - np.tanh(x)),
        "threshold": Function(
            _threshold,
            {"least": math.nan, "other": math.nan},
            lambda positive, least, other: other >= 0 and (positive or least >= 0),
        ),
        "exp": Function(np.exp, never_negative=_always),
        "exp2": Function(np.exp2, never_negative=_always),
        "expm1": Function(np.expm1),
        "log": Function(np.log, never_negative=_never, domain=_from(0.0)),
        "log2": Function(np.log2, never_negative=_never, domain=_from(0.0)),
        "log10": Function(np.log10, never_negative=_never, domain=_from(0.0)),
        "log1p": Function(np.log1p, domain=_from(-1.0)),
        "sqrt": Function(np.sqrt, never_negative=_always, domain=_from(0.0)),
        "rsqrt": Function(lambda x: 1.0 / np.sqrt(x + 0.0), never_negative=_always, domain=_from(0.0)),
        "reciprocal": Function(lambda x: 1.0 / (x + 0.0)),  # + 0.0: no minus zero, whose reciprocal is minus infinity
        "abs": Function(np.abs, never_negative=_always),
        "sign": Function(np.sign),
        "square": Function(np.square, never_negative=_always),
        "power": Function(
            np.power,
            {"exponent": math.nan},
            lambda positive, exponent: positive or exponent % 2 != 1,
            lambda exponent: (-math.inf if exponent == round(exponent) else 0.0, math.inf),
        ),
        "erf": Function(erf),
        "sin": Function(np.sin, never_negative=_never),
        "cos": Function(np.cos, never_negative=_never),
        "tan": Function(np.tan, never_negative=_never),
        "asin": Function(np.arcsin, domain=_from(-1.0, 1.0)),
        "acos": Function(np.arccos, never_negative=_always, domain=_from(-1.0, 1.0)),
        "atan": Function(np.arctan),
        "sinh": Function(np.sinh),
        "cosh": Function(np.cosh, never_negative=_always),
        "asinh": Function(np.arcsinh),
        "acosh": Function(np.arccosh, never_negative=_always, domain=_from(1.0)),
        "atanh": Function(np.arctanh, domain=_from(-1.0, 1.0)),
        "floor": Function(np.floor),
        "ceil": Function(np.ceil),
        "round": Function(np.rint),
    }
)
"""By name. ``round`` takes ties to the even number, ``threshold`` gives ``other`` where x is not above ``least``."""
