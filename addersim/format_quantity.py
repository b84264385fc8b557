"""Quantities as text: a number in the unit, or with the SI prefix, that leaves few digits before the point."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["AREA_UNITS", "ENERGY_UNITS", "TIME_UNITS", "Units", "best_unit", "compact", "first_of", "how_many", "quantity"]

Units = Sequence[tuple[float, str]]
ENERGY_UNITS: Units = ((1.0, "pJ"), (1e3, "nJ"), (1e6, "µJ"), (1e9, "mJ"), (1e12, "J"))
"""Sizes in pJ."""
AREA_UNITS: Units = ((1e6, "mm²"),)
"""Sizes in um2."""
TIME_UNITS: Units = ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms"), (1e3, "s"))
"""Sizes in ms."""


def best_unit(largest: float, units: Units) -> tuple[float, str]:
    """The largest unit in which a value is at least 1, else the smallest.

    Examples
    --------
    >>> best_unit(2.5e6, ENERGY_UNITS)
    (1000000.0, 'µJ')
    """
    return next((one for one in reversed(units) if largest >= one[0]), units[0])


def quantity(value: float, units: Units) -> str:
    r"""A value in its best unit, with four significant digits, held together by a no-break space.

    Examples
    --------
    >>> quantity(0.0182, TIME_UNITS)
    '18.2\xa0µs'
    """
    size, unit = best_unit(value, units)
    return f"{value / size:,.4g}\u00a0{unit}"


def compact(number: float) -> str:
    """Three digits and a letter for thousands (k), millions (M) and billions (G).

    Examples
    --------
    >>> [compact(number) for number in (0, 999, 1234, 40_813_824, 3_857_973_248)]
    ['0', '999', '1.23k', '40.8M', '3.86G']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def first_of(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are.

    Examples
    --------
    >>> first_of(["a", "b"]), first_of(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def how_many(number: float, things: str) -> str:
    """A number of things, of which one is said without its s.

    Examples
    --------
    >>> how_many(1, "test images"), how_many(2000, "points"), how_many(0.5, "points")
    ('1 test image', '2,000 points', '0.5 points')
    """
    shown = f"{int(number):,}" if number == int(number) else f"{number:g}"
    return f"{shown} {things.removesuffix('s') if number == 1 else things}"
