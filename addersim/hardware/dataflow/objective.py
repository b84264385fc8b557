"""What the mapper compares: energy of all that moves, cycles and bits of DRAM, each linear in a few numbers of words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.systolic_mapper import Score, Step
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import (
    Access,
    ArrayWords,
    Level,
    Moved,
    Whole,
    Widths,
    array_accesses,
    output_accesses,
    stored_outputs,
    unused_weights,
)
from addersim.trace import LayerTrace

__all__ = ["score_of"]

_KINDS = (*ArrayWords._fields, "output")


def score_of(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective,
) -> Score:
    """The score of steps of layers: energy in pJ, cycles and bits of DRAM; what the objective asks for comes first.

    Final outputs are included, since they share DRAM and memories with all that the choice moves. Words of a memory that two
    operands share are counted in fractions.
    """
    overlapped, bandwidth = accelerator.buffers.double_buffered, accelerator.dram_bits_per_cycle
    each = _rates(layers, accelerator, energies)
    beside = np.array([unused_weights(layer) for layer, _ in layers])
    stored = np.array([stored_outputs(layer, batch) for layer, _ in layers])

    def score(step: Step, index: Whole) -> tuple[Whole, ...]:
        words = [one.astype(np.float64) for one in (*step.words.beside(beside[index]), stored[index])]
        by_kind = np.take(each.T, index, axis=2)[:, :, None]
        sums = by_kind[0] * words[0]
        for rate, moved in zip(by_kind[1:], words[1:], strict=True):
            sums += rate * moved  # in place: half the time
        energy, bits, *busy = sums
        on_chip = np.maximum.reduce(np.broadcast_arrays(step.folds.cycles, *busy))
        cycles = np.maximum(on_chip, bits / bandwidth) if overlapped else on_chip + bits / bandwidth
        first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
        return first, energy, cycles, bits

    return score


def _rates(
    layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, energies: MovementEnergy
) -> npt.NDArray[np.float64]:
    """Energy, bits of DRAM and cycles of each memory with banks, a word of each kind that `ArrayWords` names and of an output.

    An array of layers x rates x kinds.
    """
    banked = [name for name, memory in accelerator.buffers.memories().items() if memory.banks is not None]
    alike: dict[Placement, list[int]] = {}
    for index, (_, placement) in enumerate(layers):
        alike.setdefault(placement, []).append(index)

    @cache
    def rates_of(level: Level, operand: Moved, bits: int) -> tuple[float, ...]:
        memory, name = accelerator.buffers.of(operand), accelerator.buffers.memory(operand)
        cycles = memory.share(bits) / memory.banks if memory.banks is not None and level == "buffer" else 0.0
        busy = [cycles if name == one else 0.0 for one in banked]
        return *energies.per_operand(level, operand, bits), bits if level == "dram" else 0.0, *busy

    found = np.empty((len(layers), 2 + len(banked), len(_KINDS)))
    for placement, members in alike.items():
        moved = _one_of_each(placement)
        reads = np.stack(np.broadcast_arrays(*(one.reads for one in moved)))
        writes = np.stack(np.broadcast_arrays(*(one.writes for one in moved)))
        widths = [(*Widths.of(layer), layer.output.bits) for layer, _ in (layers[index] for index in members)]
        each = np.array([[rates_of(one.level, one.operand, bits[one.bits]) for one in moved] for bits in widths])[..., None]
        found[members, 0] = (each[:, :, 0] * reads + each[:, :, 1] * writes).sum(axis=1)
        found[members, 1:] = (each[:, :, 2:] * (reads + writes)[:, None]).sum(axis=1)
    return found


def _one_of_each(placement: Placement) -> tuple[Access, ...]:
    """Accesses of a word of each of `_KINDS`: arrays, and for bits the place of the width among those of a layer."""
    *words, output = np.eye(len(_KINDS))
    moved = array_accesses(Widths(0, 1, 2), ArrayWords(*words), placement.input_kept)
    return *moved, *output_accesses(output, 3, placement.output_kept)
