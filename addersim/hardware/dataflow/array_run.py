"""How the array runs a layer: the records that every dataflow fills in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from addersim.hardware.traffic import Access, Tiling

__all__ = ["ArrayRun", "Placement"]


class Placement(NamedTuple):
    """Whether a layer's input is already on chip, whether its output stays there (or is fused and never stored), and whether
    its weights are there from the start."""

    input_kept: bool
    output_kept: bool
    weights_kept: bool = False


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
