"""What the mapper compares: energy of all that moves, cycles and bits of DRAM, each linear in a few numbers of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.mapper import Score, Step
from addersim.hardware.mapping import Placement
from addersim.hardware.memory import Access, ArrayWords, Widths, array_accesses, output_accesses
from addersim.hardware.movement import MovementPrices
from addersim.hardware.systolic import Whole
from addersim.trace import LayerTrace

__all__ = ["score_of"]


def score_of(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    prices: MovementPrices,
    objective: Objective,
) -> Score:
    """The score of steps of layers: energy in pJ, cycles and bits of DRAM; what the objective asks for comes first.

    Final outputs are included, since they share DRAM and memories with all that the choice moves. Words of a memory that two
    operands share are counted in fractions.
    """
    overlapped, bandwidth = accelerator.buffers.double_buffered, accelerator.dram_bits_per_cycle
    count = len(ArrayWords._fields)
    one_of_each, none = ArrayWords(*np.eye(count)), ArrayWords(*[0] * count)
    by_width: dict[tuple[Widths, bool], Any] = {}
    rates, always = [], []
    for layer, placement in layers:
        key = widths, kept = Widths.of(layer), placement.input_kept
        if key not in by_width:
            by_width[key] = _rates(array_accesses(widths, one_of_each, kept), accelerator, prices)
        rates.append(by_width[key])
        constant = array_accesses(widths, none.with_constants(layer), kept)
        outputs = output_accesses(layer, batch, placement.output_kept)
        always.append(_rates((*constant, *outputs), accelerator, prices))
    each: Whole = np.array(rates)
    fixed: Whole = np.array(always)

    def score(step: Step, index: Whole) -> tuple[Whole, ...]:
        moved = zip(step.words, each[index].transpose(2, 1, 0)[:, :, None], strict=True)
        energy, bits, *busy = sum((rate * words for words, rate in moved), fixed[index].T[:, None])
        on_chip = np.maximum.reduce(np.broadcast_arrays(step.folds.cycles, *busy))
        cycles = np.maximum(on_chip, bits / bandwidth) if overlapped else on_chip + bits / bandwidth
        first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
        return first, energy, cycles, bits

    return score


def _rates(accesses: Iterable[Access], accelerator: Accelerator, prices: MovementPrices) -> list[Whole]:
    """Energy, bits of DRAM, and cycles of each memory with banks; numbers, or arrays of them."""
    buffers, energy, bits = accelerator.buffers, 0.0, 0.0
    busy = {name: 0.0 for name, memory in buffers.memories().items() if memory.banks is not None}
    for access in accesses:
        read_pj, write_pj = prices.per_operand(access.level, access.operand, access.bits)
        energy += access.reads * read_pj + access.writes * write_pj
        memory = buffers.of(access.operand)
        if access.level == "dram":
            bits += access.size_bits
        elif memory.banks is not None:
            busy[buffers.memory(access.operand)] += access.words * (memory.share(access.bits) / memory.banks)
    return [energy, bits, *busy.values()]
