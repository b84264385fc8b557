"""Folding: layers of one module in one row, and the rows of most weight first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from addersim.format_quantity import how_many

__all__ = ["Fold", "common", "folded"]

Layer = TypeVar("Layer")


@dataclass(frozen=True, slots=True)
class Fold(Generic[Layer]):
    """Layers that one row of a table stands for.

    Attributes
    ----------
    name
        The layer's, or what the names of several begin with.
    layers
        In order.
    """

    name: str
    layers: tuple[Layer, ...]

    @property
    def title(self) -> str:
        """The name, and how many layers it stands for."""
        return self.name if len(self.layers) == 1 or " " in self.name else f"{self.name} ({len(self.layers)})"


def folded(
    layers: Sequence[Layer],
    name: Callable[[Layer], str],
    weight: Callable[[Layer], float],
    depth: int | None = None,
    top: int | None = None,
) -> list[Fold[Layer]]:
    """Rows of a table of layers.

    Parameters
    ----------
    layers
        In order.
    name
        A layer's name, whose parts are set apart by full stops: the modules that it stands in.
    weight
        What makes a layer worth a row of its own.
    depth
        Parts of a name that are told apart; None: all.
    top
        Rows, those of most weight, the largest first; what is left is the last row. None: all in order.

    Examples
    --------
    >>> rows = folded(["a.0.x", "a.0.y", "a.1.x", "b"], str, len, depth=2)
    >>> [row.title for row in rows]
    ['a.0 (2)', 'a.1.x', 'b']
    >>> [row.title for row in folded(["a", "bbb", "cc", "d"], str, len, top=2)]
    ['bbb', 'cc', '2 other layers']
    """
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        full = name(layer)
        found.setdefault(full if depth is None else ".".join(full.split(".")[:depth]), []).append(layer)
    rows = [Fold(key if len(inside) > 1 else name(inside[0]), tuple(inside)) for key, inside in found.items()]
    if top is None or len(rows) <= top:
        return rows
    rows.sort(key=lambda row: -sum(map(weight, row.layers)))
    rest = tuple(layer for row in rows[top:] for layer in row.layers)
    return [*rows[:top], Fold(how_many(len(rest), "other layers"), rest)]


def common(values: Sequence[Any], several: Any = "") -> Any:
    """What all values are, or what says that they differ."""
    return values[0] if len(set(values)) == 1 else several
