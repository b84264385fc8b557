"""How the array runs a layer: the records that every dataflow fills in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from addersim.hardware.memory import Access

__all__ = ["ArrayRun", "Loop", "Placement", "Tiling"]


class Loop(NamedTuple):
    """One loop over tiles: the dimension it runs over, how often, and the dimension's size in the largest tile."""

    dimension: str
    trips: int
    tile: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tile loop of one group between DRAM and the on-chip memories.

    Attributes
    ----------
    loops
        Outermost first. Dimensions of a matrix product are ``pixels``, ``window`` and ``filters``.
    """

    loops: tuple[Loop, ...]

    def __str__(self) -> str:
        return ", ".join(f"{loop.dimension} {loop.trips} x {loop.tile}" for loop in self.loops)


class Placement(NamedTuple):
    """Whether a layer's input is already on chip, and whether its output stays there (or is fused and never stored)."""

    input_kept: bool
    output_kept: bool


@dataclass(frozen=True, slots=True)
class ArrayRun:
    """What the array does for one layer and batch.

    Attributes
    ----------
    cycles
        Of the array.
    mapping_efficiency
        Share of the processing elements that the folds fill, 0 to 1.
    accesses
        Words that move for the array, final outputs not included, at every level.
    tiling
        The tile loop that was chosen.
    """

    cycles: int
    mapping_efficiency: float
    accesses: tuple[Access, ...]
    tiling: Tiling
