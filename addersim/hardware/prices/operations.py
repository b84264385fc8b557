"""Energy of arithmetic: counts times the table's unit energies, or taps times those of whole processing elements."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from addersim.arithmetic.ops import OpCounts, sum_by_key
from addersim.hardware.layer_cost import Component, EnergyPart, UnitEnergy, UnitEnergyUsed
from addersim.hardware.prices.elements import TapEnergy, ZeroShare, element_bits, tap_energies
from addersim.hardware.prices.missing import naming_layers
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import LayerTrace, Trace

__all__ = ["ArithmeticEnergies", "arithmetic_energy", "operation_energies"]


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


@dataclass(frozen=True, slots=True)
class ArithmeticEnergies:
    """Unit energies of a trace's arithmetic: of taps in whole processing elements, where the table knows those, else of
    single operations.

    Attributes
    ----------
    per_operation
        By operation and width.
    per_tap
        By window layer; empty where the array is priced by operations.
    bits
        Width of each window layer's element.
    """

    per_operation: Mapping[tuple[str, int], UnitEnergy]
    per_tap: Mapping[str, TapEnergy]
    bits: Mapping[str, int]

    @classmethod
    def of(cls, trace: Trace, table: EnergyTable, stated: ZeroShare | None = None) -> ArithmeticEnergies:
        """Those of a trace under a table; `stated` is what the accelerator says of zeros that nobody saw.

        Raises
        ------
        PriceError
            One that the table lacks, with the layers that need it.
        """
        windows = [layer for layer in trace.layers if layer.work is not None]
        if trace.convention == "paper" or not table.knows_elements:
            return cls(operation_energies(trace.layers, table), {}, {})
        others = [layer for layer in trace.layers if layer.work is None]
        bits = {layer.name: element_bits(layer) for layer in windows}
        return cls(operation_energies(others, table), tap_energies(trace.name, trace.layers, table, stated), bits)

    def parts(self, layer: LayerTrace, batch: int) -> list[EnergyPart]:
        """Energy of a layer's arithmetic: one part an operation, or one of its taps."""
        if layer.name in self.per_tap:
            return [EnergyPart("array", "tap", batch * self.per_tap[layer.name].energy_pj(layer))]
        by_op = sum_by_key(
            (op, number * batch * self.per_operation[op, bits].energy_pj) for (op, bits), number in layer.operations.items()
        )
        unit: Component = "vector" if layer.work is None else "array"
        return [EnergyPart(unit, op, energy) for op, energy in by_op.items()]

    def apart(self, layer: LayerTrace) -> Hashable:
        """What parts layers that are alike in everything else: their zeros, where those count."""
        found = self.per_tap.get(layer.name)
        return None if found is None else (found.tap.energy_pj, layer.gated_taps)

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """The unit energies, operations first."""
        operations = [
            UnitEnergyUsed(f"{op} {bits} bit", "operation", energy)
            for (op, bits), energy in sorted(self.per_operation.items())
        ]
        taps = [
            UnitEnergyUsed(f"tap of {name}, {self.bits[name]} bit", "tap", energy.tap) for name, energy in self.per_tap.items()
        ]
        return operations + taps


def _layers_with(layers: Sequence[LayerTrace], operation: tuple[str, int]) -> list[str]:
    return [layer.name for layer in layers if operation in layer.operations]
