"""Cycles: array, vector unit, on-chip memories and DRAM of each layer, and of each stage.

A stage (`schedule.Schedule.stages`: layers joined by fused outputs) lasts as long as its busiest resource: the vector unit
takes the array's results as they drain, and with double buffering transfers overlap with computing. A window layer's tiles run
in a pipeline besides, whose first load and last store are waited for: its mapper gives the cycles of its stage
(`dataflow.tile_pipeline`). Stages run one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from addersim.hardware.accelerator import Accelerator, Buffers
from addersim.hardware.layer_cost import Bound
from addersim.hardware.traffic import Access, memory_words

__all__ = ["LayerCycles", "buffer_cycles", "dram_cycles", "stage_cycles", "vector_cycles"]


@dataclass(frozen=True, slots=True)
class LayerCycles:
    """Cycles for which a layer keeps each resource busy; the on-chip memories by name."""

    array: int = 0
    vector: int = 0
    dram: int = 0
    buffers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, array: int, operations: int, accesses: Iterable[Access], accelerator: Accelerator) -> LayerCycles:
        """Cycles of a layer: of the array, of vector operations, and of its accesses."""
        listed = tuple(accesses)
        bits = sum([access.size_bits for access in listed if access.level == "dram"])
        vector, dram = vector_cycles(operations, accelerator), dram_cycles(bits, accelerator)
        return cls(array, vector, dram, buffer_cycles(listed, accelerator.buffers))

    @property
    def buffer(self) -> int:
        """Cycles of the busiest on-chip memory."""
        return max(self.buffers.values(), default=0)


def vector_cycles(operations: int, accelerator: Accelerator) -> int:
    """Cycles of the vector unit: a lane runs one operation a cycle, so a batch norm (multiply, add, shift) takes three."""
    return -(-operations // accelerator.vector.lanes)


def buffer_cycles(accesses: Iterable[Access], buffers: Buffers) -> dict[str, int]:
    """Cycles in which each memory that has a number of banks, and accesses, serves them, one word a bank and cycle."""
    banks = {name: memory.banks for name, memory in buffers.all_memories().items() if memory.banks is not None}
    if not banks:
        return {}
    words = memory_words(accesses, buffers)
    return {name: -(-number // banks[name]) for name, number in words.items() if name in banks}


def dram_cycles(bits: float, accelerator: Accelerator) -> int:
    """Cycles in which DRAM moves a number of bits at its full bandwidth."""
    return math.ceil(bits / accelerator.dram_bits_per_cycle)


def stage_cycles(layers: Iterable[LayerCycles], overlapped: bool = True) -> tuple[int, Bound]:
    """Cycles of layers that run as one pipeline, and what sets them: the first of the busiest resources.

    Where transfers do not overlap with computing (`overlapped` false), the cycles of DRAM, or of a second level that takes
    longer, come on top.
    """
    array = vector = dram = 0
    memories: dict[str, int] = {}
    for layer in layers:
        array, vector, dram = array + layer.array, vector + layer.vector, dram + layer.dram
        for name, cycles in layer.buffers.items():
            memories[name] = memories.get(name, 0) + cycles
    l2 = memories.pop("l2", 0)
    on_chip: tuple[tuple[int, Bound], ...] = (
        (array, "array"), (vector, "vector"), (max(memories.values(), default=0), "buffer"),
    )  # fmt: skip
    most = max((*on_chip, (dram, "dram"), (l2, "buffer")), key=lambda pair: pair[0])
    if most[0] == 0:
        return 0, "none"
    if overlapped:
        return most
    return max(busy for busy, _ in on_chip) + max(dram, l2), most[1]
