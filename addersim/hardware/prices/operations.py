"""Energy of operations: counts times the table's prices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

from addersim.arithmetic.ops import OpCounts
from addersim.hardware.cost import Price
from addersim.hardware.prices.missing import needed_by
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import LayerTrace

__all__ = ["arithmetic_energy", "operation_prices"]


def arithmetic_energy(operations: OpCounts, table: EnergyTable, component: str = "integer") -> dict[str, float]:
    """Energy of operations alone, in pJ by operation: no memory, no control, no wires.

    Parameters
    ----------
    operations
        Numbers of operations by width.
    table
        The unit energies.
    component
        ``integer`` or ``float``.

    Raises
    ------
    PriceError
        The table lacks a price.

    Examples
    --------
    ResNet-20 with the counts of the AdderNet paper at 8 bits, in microjoules:

    >>> from addersim.hardware import load_table
    >>> parts = arithmetic_energy(OpCounts({("add", 8): 41_170_000, ("mul", 8): 41_170_000}), load_table("horowitz-45nm"))
    >>> round(sum(parts.values()) * 1e-6, 2)
    9.47
    """
    parts: dict[str, float] = {}
    for (op, bits), number in operations.items():
        parts[op] = parts.get(op, 0.0) + number * table.price(op, bits, component)
    return parts


def operation_prices(layers: Sequence[LayerTrace], table: EnergyTable) -> dict[tuple[str, int], Price]:
    """Price of every operation that the layers need.

    Raises
    ------
    PriceError
        One that the table lacks, with the layers that need it.
    """
    prices: dict[tuple[str, int], Price] = {}
    for key in dict.fromkeys(chain.from_iterable(layer.operations for layer in layers)):
        with needed_by(partial(_users, layers, key)):
            prices[key] = table.explain(*key)
    return prices


def _users(layers: Sequence[LayerTrace], operation: tuple[str, int]) -> list[str]:
    return [layer.name for layer in layers if operation in layer.operations]
