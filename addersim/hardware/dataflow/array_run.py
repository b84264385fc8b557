"""How the array runs a layer: the records that every dataflow fills in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import FloatArray
from addersim.hardware.traffic import ALL, Access, Backing, Level, Stored, Tiling

__all__ = ["ArrayRun", "Beside", "Placement", "whole_cycles"]


class Placement(NamedTuple):
    """Whether a layer's input is already on chip, whether its output stays there (or is fused and never stored), and whether
    its weights are there from the start; what lies in the second level, if there is one; and the output pixels of the strips
    in which the layer runs depth first, if it does."""

    input_kept: bool
    output_kept: bool
    weights_kept: bool = False
    backing: Backing | None = None
    strip: int | None = None

    def most_from_dram(self, operand: Stored) -> int:
        """Words of an operand that DRAM moves at most, of those that the first level does not keep."""
        return ALL if self.backing is None else self.backing.of(operand)


@dataclass(frozen=True, slots=True)
class Beside:
    """What shares a stage with a window layer and does not depend on its tiles.

    Attributes
    ----------
    accesses
        Reads and writes of the layers that are fused to it.
    vector
        Cycles of the vector unit.
    energy_pj
        Of all arithmetic of the stage.
    leakage_pj
        Of the whole accelerator in a cycle, idle power included.
    """

    accesses: tuple[Access, ...] = ()
    vector: int = 0
    energy_pj: float = 0.0
    leakage_pj: float = 0.0

    def with_outputs(self, accesses: tuple[Access, ...]) -> Beside:
        """With the accesses of the window layer's own final outputs."""
        return replace(self, accesses=self.accesses + accesses)

    def constants(self, level: Level) -> tuple[Access, ...]:
        """Of stored constants that a level beyond the first delivers: they are there before the first tile."""
        return tuple(one for one in self.accesses if one.level == level and one.operand == "weight")

    def activations(self, level: Level) -> tuple[Access, ...]:
        """Of activations that a level beyond the first moves: they follow each tile of finished sums."""
        return tuple(one for one in self.accesses if one.level == level and one.operand != "weight")


@dataclass(frozen=True, slots=True)
class ArrayRun:
    """What the array does for one layer and batch.

    Attributes
    ----------
    cycles
        Of the array.
    stage_cycles
        That pass for the layer and those fused to it, waiting for DRAM and other units included.
    mapping_efficiency
        Share of the processing elements that the folds fill, 0 to 1.
    accesses
        Words that move for the array, final outputs not included, at every level.
    tiling
        The tile loop that was chosen.
    elements
        Processing elements that can run the layer: all, or those that multiply.
    """

    cycles: int
    stage_cycles: int
    mapping_efficiency: float
    accesses: tuple[Access, ...]
    tiling: Tiling
    elements: int


def whole_cycles(cycles: FloatArray) -> FloatArray:
    """Cycles rounded up: a cycle that is begun is finished, but what only rounding of floating point adds is no cycle."""
    return np.ceil(cycles * (1 - 2.0**-40))
