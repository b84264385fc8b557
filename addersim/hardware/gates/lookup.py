"""Tables of a Liberty library: a delay, a slew or an energy by the slew of an input and the load of an output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.errors import ConfigError
from addersim.hardware.gates.liberty_syntax import Group
from addersim.inputs.limits import shown

__all__ = ["MOST_VALUE", "Lookup", "lookup_of"]

MOST_VALUE = 1e9
"""Largest number of a library in its own units: far beyond any cell's, and small enough that what is computed stays finite."""
_MOST_VALUES = 10_000


class Lookup(NamedTuple):
    """Values by slew (rows) and load (columns), in the library's units; beyond its ends the last piece goes on."""

    slews: npt.NDArray[np.float64]
    loads: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def __call__(self, slew: float, load: float) -> float:
        """Value at a slew and a load, bilinear.

        Examples
        --------
        >>> table = Lookup(np.array([0.0, 1.0]), np.array([0.0, 2.0]), np.array([[1.0, 3.0], [2.0, 4.0]]))
        >>> table(0.5, 1.0), table(0.0, 4.0)
        (2.5, 5.0)
        """
        row, down = _place(self.slews, slew)
        column, right = _place(self.loads, load)
        block = self.values[row : row + 2, column : column + 2]
        along = block[:, 0] if block.shape[1] == 1 else block[:, 0] * (1 - right) + block[:, 1] * right
        return float(along[0] if len(along) == 1 else along[0] * (1 - down) + along[1] * down)


def _place(axis: npt.NDArray[np.float64], x: float) -> tuple[int, float]:
    """The piece of an axis that a place lies in, and how far along it."""
    if len(axis) == 1:
        return 0, 0.0
    at = min(max(int(np.searchsorted(axis, x)) - 1, 0), len(axis) - 2)
    return at, float((x - axis[at]) / (axis[at + 1] - axis[at]))


def lookup_of(group: Group, templates: Mapping[str, Group], where: str) -> Lookup:
    """The table of a group, its axes in the order slew, load.

    Raises
    ------
    ConfigError
        Its values are no numbers, or not as many as its axes say.
    """
    template = templates.get(group.name, Group("", []))
    axes, kinds = [], []
    for number in ("1", "2"):
        variable = template.simple.get(f"variable_{number}", "")
        given = group.complex.get(f"index_{number}") or template.complex.get(f"index_{number}")
        if given is None and not variable:
            continue
        axes.append(_numbers(given[0] if given else [], f"{where}, index_{number}"))
        kinds.append("load" if "cap" in variable else "slew")
    values = _numbers((group.complex.get("values") or [[]])[0], f"{where}, values")
    if values.size == 1:
        return Lookup(np.zeros(1), np.zeros(1), values.reshape(1, 1))
    if values.size != np.prod([axis.size for axis in axes], initial=1.0) or any((np.diff(axis) <= 0).any() for axis in axes):
        sizes = " x ".join(str(axis.size) for axis in axes)
        raise ConfigError(f"{where}: {values.size} values for {sizes or 'no'} places that rise; the table is damaged")
    if len(axes) == 1:
        shaped = values.reshape(1, -1) if kinds[0] == "load" else values.reshape(-1, 1)
        return Lookup(np.zeros(1), axes[0], shaped) if kinds[0] == "load" else Lookup(axes[0], np.zeros(1), shaped)
    shaped = values.reshape(axes[0].size, axes[1].size)
    return Lookup(axes[1], axes[0], shaped.T) if kinds[0] == "load" else Lookup(axes[0], axes[1], shaped)


def _numbers(texts: list[str], where: str) -> npt.NDArray[Any]:
    words = [word for text in texts for word in re.split(r"[,\s]+", text.strip()) if word]
    if not 0 < len(words) <= _MOST_VALUES:
        raise ConfigError(f"{where}: {len(words):,} numbers; needs 1..{_MOST_VALUES:,}")
    try:
        found = np.array([float(word) for word in words])
    except ValueError:
        bad = next(word for word in words if not re.fullmatch(r"[-+.0-9eE]+", word))
        raise ConfigError(f"{where}: found {shown(bad)}, needs numbers") from None
    if not (np.abs(found) <= MOST_VALUE).all():
        raise ConfigError(f"{where}: holds numbers that are not finite, or beyond {MOST_VALUE:g}")
    return found
