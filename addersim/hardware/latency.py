"""Cycles: array, vector unit and DRAM of each layer, and of each stage.

A stage (`schedule.Schedule.stages`: layers joined by fused outputs) lasts as long as its busiest resource: transfers are
double buffered, and the vector unit takes the array's results as they drain. Stages run one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.memory import Access
from addersim.hardware.systolic import Folds
from addersim.trace import LayerTrace

__all__ = ["Bound", "LayerCycles", "dram_cycles", "stage_cycles", "vector_cycles"]

Bound = Literal["array", "vector", "dram", "fused", "none"]


@dataclass(frozen=True, slots=True)
class LayerCycles:
    """Cycles for which a layer keeps each resource busy."""

    array: int
    vector: int
    dram: int

    @classmethod
    def of(
        cls, layer: LayerTrace, folds: Folds | None, accesses: Iterable[Access], accelerator: Accelerator, batch: int
    ) -> LayerCycles:
        """Cycles of a layer: `systolic.fold` on the array, else `vector_cycles`; and `dram_cycles`."""
        bits = sum(access.size_bits for access in accesses if access.level == "dram")
        if folds is None:
            return cls(0, vector_cycles(layer.operations.total() * batch, accelerator), dram_cycles(bits, accelerator))
        return cls(folds.cycles, 0, dram_cycles(bits, accelerator))


def vector_cycles(operations: int, accelerator: Accelerator) -> int:
    """Cycles of the vector unit: a lane runs one operation a cycle, so a batch norm (multiply, add, shift) takes three."""
    return -(-operations // accelerator.vector.lanes)


def dram_cycles(bits: int, accelerator: Accelerator) -> int:
    """Cycles in which DRAM moves a number of bits at its full bandwidth."""
    return math.ceil(bits / accelerator.dram_bits_per_cycle)


def stage_cycles(layers: Iterable[LayerCycles]) -> tuple[int, Bound]:
    """Cycles of layers that run as one pipeline, and what sets them: array, vector unit or DRAM, the first of equals."""
    array = vector = dram = 0
    for layer in layers:
        array, vector, dram = array + layer.array, vector + layer.vector, dram + layer.dram
    cycles = max(array, vector, dram)
    if cycles == 0:
        return 0, "none"
    return cycles, "array" if array == cycles else "vector" if vector == cycles else "dram"
