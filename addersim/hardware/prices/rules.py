"""Rules for sizes between the exact rows of an energy table: lines, parabolas, power laws, polynomials, least-squares fits.

What runs along capacity and width at once, without falling with either, is a `grid.Grid`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "INTERPOLATIONS",
    "RULES",
    "SURFACES",
    "DataPoint",
    "PowerFit",
    "Span",
    "interpolate",
    "outside_rows",
    "points_needed",
    "polynomial",
]

DataPoint = tuple[float, float]
"""A size, and the number of a row that has it."""
Span = tuple[float, float]
"""The smallest and the largest of something."""

RULES: Mapping[str, str] = MappingProxyType(
    {
        "exact": "the row's own number",
        "proportional": "straight line through zero and the nearest exact row",
        "linear": "straight line between the two nearest exact rows",
        "quadratic": "parabola through zero and the two nearest exact rows",
        "power": "power law between the two nearest exact rows",
        "polynomial": "coefficients of x^0, x^1, ..., x the bits or the capacity in bits",
        "polynomial-log2": "the same with x the base-2 logarithm of them",
        "grid": "straight lines between the logarithms of exact rows of every capacity at every width, never falling",
        "fit": "capacity^a x width^b, least squares of the logarithms of all exact rows, at these too",
        "fraction": "a fraction of the energy of another operation of the same width: fraction mul 0.5",
        "as": "priced as another operation of the same width: as add",
    }
)
SURFACES = ("grid", "fit")
"""The rules along capacity and width at once. They hold at the exact rows' sizes too, so that no row stands out."""


def _linear(x: float, low: DataPoint, high: DataPoint) -> float:
    """Ordinate at x of the straight line through two points."""
    (x0, y0), (x1, y1) = low, high
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _quadratic(x: float, low: DataPoint, high: DataPoint) -> float:
    """Parabola through zero and two points: y / x is a straight line."""
    (x0, y0), (x1, y1) = low, high
    return x * _linear(x, (x0, y0 / x0), (x1, y1 / x1))


def _power(x: float, low: DataPoint, high: DataPoint) -> float:
    """Power law through two points with positive ordinates: a straight line between logarithms."""
    (x0, y0), (x1, y1) = low, high
    return y0 * math.pow(x / x0, math.log(y1 / y0) / math.log(x1 / x0))


INTERPOLATIONS: Mapping[str, Callable[[float, DataPoint, DataPoint], float]] = MappingProxyType(
    {"linear": _linear, "quadratic": _quadratic, "power": _power}
)


def interpolate(rule: str, points: Sequence[DataPoint], x: float) -> tuple[float, str]:
    """Ordinate by the two points around x, or by the outermost two on its side, and the rule in words.

    Parameters
    ----------
    rule
        ``proportional``, or a name in `INTERPOLATIONS`.
    points
        At least `points_needed`, by rising abscissa.
    x
        Where.
    """
    if rule == "proportional":
        size, value = min(points, key=lambda point: abs(math.log(point[0] / x)))
        return value * (x / size), f"proportional to {size:g}"
    last = max(next((index for index, (size, _) in enumerate(points) if size >= x), len(points) - 1), 1)
    low, high = points[last - 1 : last + 1]
    where = "between" if low[0] < x < high[0] else "continued from"
    try:
        value = INTERPOLATIONS[rule](x, low, high)
    except OverflowError:
        value = math.inf
    return value, f"{rule}, {where} {low[0]:g} and {high[0]:g}"


def points_needed(rule: str) -> int:
    """How many exact rows a rule needs that runs along them; 0 for the other rules."""
    return 1 if rule == "proportional" else 2 if rule in INTERPOLATIONS else 0


def polynomial(x: float, coefficients: Sequence[float]) -> float:
    """Value of a polynomial by Horner's rule; coefficients from the constant up."""
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


@dataclass(frozen=True, slots=True)
class PowerFit:
    """y = scale x capacity^a x width^b, fitted by least squares of the logarithms, with its relative errors at the points.

    Attributes
    ----------
    scale, capacity_power, width_power
        The three coefficients; y at 1 KiB and 1 bit, and the two exponents.
    points, capacities, widths
        How many points it was fitted to, and their smallest and largest capacity and width.
    rms, worst
        Root mean square, and largest, of |fit / point - 1|.

    Examples
    --------
    >>> fit = PowerFit.of([(1, 8, 3.0), (4, 8, 6.0), (1, 32, 6.0), (4, 32, 12.0)])
    >>> round(fit.capacity_power, 6), round(fit.width_power, 6), round(fit(16, 32), 6)
    (0.5, 0.5, 24.0)
    """

    scale: float
    capacity_power: float
    width_power: float
    points: int
    capacities: Span
    widths: Span
    rms: float
    worst: float

    @classmethod
    def of(cls, points: Sequence[tuple[float, float, float]]) -> PowerFit:
        """Fit to (capacity in KiB, width in bits, y) of at least two capacities and two widths, all above zero."""
        import numpy as np

        capacity, width, y = np.asarray(points, dtype=np.float64).T
        logs = np.stack((np.ones_like(y), np.log(capacity), np.log(width)), axis=1)
        fitted = np.linalg.lstsq(logs, np.log(y), rcond=None)[0]
        errors = np.expm1(logs @ fitted - np.log(y))
        rms, worst = float(np.sqrt(np.mean(errors**2))), float(np.max(np.abs(errors)))
        hull = [(float(axis.min()), float(axis.max())) for axis in (capacity, width)]
        return cls(math.exp(fitted[0]), float(fitted[1]), float(fitted[2]), len(points), hull[0], hull[1], rms, worst)

    def __call__(self, capacity_kib: float, width_bits: float) -> float:
        """The law's value."""
        return self.scale * math.pow(capacity_kib, self.capacity_power) * math.pow(width_bits, self.width_power)

    def describe(self, capacity_kib: float, width_bits: float) -> str:
        """The law, its error and, for a size outside the points, the warning that says so."""
        law = f"{self.scale:.4g} KiB^{self.capacity_power:.3f} bits^{self.width_power:.3f}"
        text = f"fit {law} to {self.points} rows, error {100 * self.rms:.0f} % rms, {100 * self.worst:.0f} % at most"
        return text + outside_rows((capacity_kib, width_bits), self.capacities, self.widths)


def outside_rows(size: tuple[float, float], capacities: Span, widths: Span) -> str:
    """The words that a capacity and width lie outside those of the rows; empty where they do not."""
    if capacities[0] <= size[0] <= capacities[1] and widths[0] <= size[1] <= widths[1]:
        return ""
    return f"; outside its rows of {capacities[0]:g}..{capacities[1]:g} KiB, {widths[0]:g}..{widths[1]:g} bits"
