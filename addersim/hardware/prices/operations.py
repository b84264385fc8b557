"""Energy of operations: counts times the table's unit energies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

from addersim.arithmetic.ops import OpCounts, sum_by_key
from addersim.hardware.layer_cost import UnitEnergy
from addersim.hardware.prices.missing import naming_layers
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import LayerTrace

__all__ = ["arithmetic_energy", "operation_energies"]


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
        The table lacks a unit energy.

    Examples
    --------
    ResNet-20 with the counts of the AdderNet paper at 8 bits, in microjoules:

    >>> from addersim.hardware import load_table
    >>> parts = arithmetic_energy(OpCounts({("add", 8): 41_170_000, ("mul", 8): 41_170_000}), load_table("horowitz-45nm"))
    >>> round(sum(parts.values()) * 1e-6, 2)
    9.47
    """
    return sum_by_key((op, number * table.price(op, bits, component)) for (op, bits), number in operations.items())


def operation_energies(layers: Sequence[LayerTrace], table: EnergyTable) -> dict[tuple[str, int], UnitEnergy]:
    """Unit energy of every operation that the layers need.

    Raises
    ------
    PriceError
        One that the table lacks, with the layers that need it.
    """
    energies: dict[tuple[str, int], UnitEnergy] = {}
    for key in dict.fromkeys(chain.from_iterable(layer.operations for layer in layers)):
        with naming_layers(partial(_layers_with, layers, key)):
            energies[key] = table.explain(*key)
    return energies


def _layers_with(layers: Sequence[LayerTrace], operation: tuple[str, int]) -> list[str]:
    return [layer.name for layer in layers if operation in layer.operations]
