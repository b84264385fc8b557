"""What the mapper makes least: energy of all that moves, cycles and bits of DRAM, each linear in a few numbers of words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective, Stored
from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.systolic_mapper import ObjectiveFunction, TilingCost
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import (
    Access,
    ArrayTraffic,
    Level,
    Widths,
    array_traffic,
    output_traffic,
    stored_outputs,
    unused_weights,
)
from addersim.trace import LayerTrace

__all__ = ["objective_function"]

_WORD_KINDS = (*ArrayTraffic._fields, "output")


def objective_function(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective,
) -> ObjectiveFunction:
    """Energy in pJ, cycles and bits of DRAM of tilings of layers; before them what the objective asks for.

    Final outputs are included, since they share DRAM and memories with all that the choice moves. Words of a memory that two
    operands share are counted in fractions.
    """
    overlapped, bandwidth = accelerator.buffers.double_buffered, accelerator.dram_bits_per_cycle
    rates = _rates(layers, accelerator, energies)
    constants = np.array([unused_weights(layer) for layer, _ in layers])
    outputs = np.array([stored_outputs(layer, batch) for layer, _ in layers])

    def value(cost: TilingCost, index: IntArray) -> tuple[FloatArray, ...]:
        kinds = (*cost.words.with_constants(constants[index]), outputs[index])
        words = [np.asarray(kind).astype(np.float64) for kind in kinds]
        by_kind = np.take(rates.T, index, axis=2)[:, :, None]
        sums = by_kind[0] * words[0]
        for rate, moved in zip(by_kind[1:], words[1:], strict=True):
            sums += rate * moved  # in place: half the time
        energy, bits, *busy = sums
        on_chip = np.maximum.reduce(np.broadcast_arrays(cost.folds.cycles, *busy))
        cycles = np.maximum(on_chip, bits / bandwidth) if overlapped else on_chip + bits / bandwidth
        first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
        return first, energy, cycles, bits

    return value


def _rates(layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, energies: MovementEnergy) -> FloatArray:
    """Energy, bits of DRAM and cycles of each memory with banks, a word of each kind of `ArrayTraffic` and of an output.

    An array of layers x rates x kinds.
    """
    banked = [name for name, memory in accelerator.buffers.memories().items() if memory.banks is not None]
    by_placement: dict[Placement, list[int]] = {}
    for index, (_, placement) in enumerate(layers):
        by_placement.setdefault(placement, []).append(index)

    @cache
    def rates_of(level: Level, operand: Stored, bits: int) -> tuple[float, ...]:
        memory, name = accelerator.buffers.of(operand), accelerator.buffers.memory(operand)
        cycles = memory.share(bits) / memory.banks if memory.banks is not None and level == "buffer" else 0.0
        busy = [cycles if name == one else 0.0 for one in banked]
        return *energies.per_operand(level, operand, bits), bits if level == "dram" else 0.0, *busy

    rates = np.empty((len(layers), 2 + len(banked), len(_WORD_KINDS)))
    for placement, members in by_placement.items():
        by_kind = [_traffic_of_a_word(kind, placement) for kind in range(len(_WORD_KINDS))]
        moved = by_kind[0]
        reads = np.array([[one.reads for one in same] for same in zip(*by_kind, strict=True)], np.float64)
        writes = np.array([[one.writes for one in same] for same in zip(*by_kind, strict=True)], np.float64)
        widths = [(*Widths.of(layer), layer.output.bits) for layer, _ in (layers[index] for index in members)]
        each = np.array([[rates_of(one.level, one.operand, bits[one.bits]) for one in moved] for bits in widths])[..., None]
        rates[members, 0] = (each[:, :, 0] * reads + each[:, :, 1] * writes).sum(axis=1)
        rates[members, 1:] = (each[:, :, 2:] * (reads + writes)[:, None]).sum(axis=1)
    return rates


def _traffic_of_a_word(kind: int, placement: Placement) -> tuple[Access, ...]:
    """Traffic of one word of one of `_WORD_KINDS`, the same accesses for each; for bits the width's place in a layer's."""
    *words, output = (int(kind == other) for other in range(len(_WORD_KINDS)))
    moved = array_traffic(Widths(0, 1, 2), ArrayTraffic(*words), placement.input_kept, placement.weights_kept)
    return *moved, *output_traffic(output, 3, placement.output_kept)
