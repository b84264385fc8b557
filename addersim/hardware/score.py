"""What the mapper compares: energy of all that moves, cycles and bits of DRAM, each linear in a few numbers of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.mapper import Score, Step
from addersim.hardware.mapping import Placement
from addersim.hardware.memory import Access, ArrayWords, array_accesses, output_accesses
from addersim.hardware.movement import MovementPrices
from addersim.trace import LayerTrace

__all__ = ["score_of"]


def score_of(
    layer: LayerTrace,
    accelerator: Accelerator,
    batch: int,
    placement: Placement,
    prices: MovementPrices,
    objective: Objective,
) -> Score:
    """The score of steps of a layer: energy in pJ, cycles and bits of DRAM; what the objective asks for comes first.

    Final outputs are included, since they share DRAM and memories with all that the choice moves. Words of a memory that two
    operands share are counted in fractions.
    """
    overlapped, bandwidth = accelerator.buffers.double_buffered, accelerator.dram_bits_per_cycle
    count = len(ArrayWords._fields)
    units = [ArrayWords(*(int(one == place) for one in range(count))) for place in range(count)]
    moved = [array_accesses(layer, words, placement.input_kept) for words in (ArrayWords(*[0] * count), *units)]
    nothing, *each = (_rates(accesses, accelerator, prices) for accesses in moved)
    rates = np.array(each) - nothing
    always = nothing + _rates(output_accesses(layer, batch, placement.output_kept), accelerator, prices)

    def score(step: Step) -> tuple[Any, ...]:
        amounts = np.broadcast_arrays(*(np.asarray(words, float) for words in step.words))
        energy, bits, *busy = np.tensordot(rates.T, amounts, 1) + always[:, None, None]
        on_chip = np.maximum.reduce(np.broadcast_arrays(step.folds.cycles, *busy))
        cycles = np.maximum(on_chip, bits / bandwidth) if overlapped else on_chip + bits / bandwidth
        first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
        return first, energy, cycles, bits

    return score


def _rates(accesses: tuple[Access, ...], accelerator: Accelerator, prices: MovementPrices) -> Any:
    """Energy, bits of DRAM, and cycles of each memory with banks."""
    buffers, energy, bits = accelerator.buffers, 0.0, 0
    busy = {name: 0.0 for name, memory in buffers.memories().items() if memory.banks is not None}
    for access in accesses:
        if not access.words:
            continue
        read_pj, write_pj = prices.per_operand(access.level, access.operand, access.bits)
        energy += access.reads * read_pj + access.writes * write_pj
        memory = buffers.of(access.operand)
        if access.level == "dram":
            bits += access.size_bits
        elif memory.banks is not None:
            busy[buffers.memory(access.operand)] += float(access.words * memory.share(access.bits)) / memory.banks
    return np.array([energy, bits, *busy.values()])
