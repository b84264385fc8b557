"""What the mapper compares: energy of all that moves, cycles and bits of DRAM, each linear in a few numbers of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.mapper import Score, Step
from addersim.hardware.mapping import Placement
from addersim.hardware.memory import (
    Access,
    ArrayWords,
    Widths,
    array_accesses,
    output_accesses,
    stored_outputs,
    unused_weights,
)
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
    by_width: dict[tuple[object, ...], list[Whole]] = {}
    rates, constants, outputs = [], [], []
    for layer, placement in layers:
        key = Widths.of(layer), layer.output.bits, placement
        if key not in by_width:
            by_width[key] = _rates(_one_of_each(layer, placement), accelerator, prices)
        rates.append(by_width[key])
        constants.append(unused_weights(layer))
        outputs.append(stored_outputs(layer, batch))
    each: Whole = np.array(rates)
    beside, stored = np.array(constants), np.array(outputs)

    def score(step: Step, index: Whole) -> tuple[Whole, ...]:
        words = *step.words.beside(beside[index]), stored[index]
        by_kind = each[index].transpose(2, 1, 0)[:, :, None]
        energy, bits, *busy = total = by_kind[0] * words[0]
        for rate, moved in zip(by_kind[1:], words[1:], strict=True):
            total += rate * moved
        on_chip = np.maximum.reduce(np.broadcast_arrays(step.folds.cycles, *busy))
        cycles = np.maximum(on_chip, bits / bandwidth) if overlapped else on_chip + bits / bandwidth
        first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
        return first, energy, cycles, bits

    return score


def _one_of_each(layer: LayerTrace, placement: Placement) -> tuple[Access, ...]:
    """Accesses of a word of each kind that `ArrayWords` names, and of an output: arrays."""
    *words, output = np.eye(len(ArrayWords._fields) + 1)
    moved = array_accesses(Widths.of(layer), ArrayWords(*words), placement.input_kept)
    return *moved, *output_accesses(output, layer.output.bits, placement.output_kept)


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
