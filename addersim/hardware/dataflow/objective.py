"""What the mapper makes least: energy, cycles and bits of DRAM of the whole stage of a layer, as `estimate` tells them.

A stage is a layer and those fused to it: what these read, write and compute beside it does not depend on its tiles, but shares
memories, DRAM and time with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective, Stored
from addersim.hardware.arrays import AnyArray, FloatArray, IntArray, IntOrArray
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.systolic_pipeline import Streams
from addersim.hardware.dataflow.tiling_costs import TilingCost
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Widths, memory_words, output_traffic, stored_outputs, unused_weights
from addersim.trace import LayerTrace

__all__ = ["StageCosts", "StageLoad", "counts_cycles", "objective_value"]

_MOVED: tuple[Stored, ...] = ("input", "weight", "partial_sum")


class StageLoad(NamedTuple):
    """What tilings of a layer make of its stage: energy without leakage, bits of DRAM, and cycles of the busiest unit or
    memory
    beside the array."""

    energy_pj: FloatArray
    dram_bits: FloatArray
    units: FloatArray


def counts_cycles(objective: Objective, besides: Sequence[Beside]) -> bool:
    """Whether an objective's own value depends on cycles; energy does where the accelerator leaks."""
    return objective in ("latency", "energy-delay") or (objective == "energy" and any(one.leakage_pj for one in besides))


def objective_value(
    objective: Objective, energy: AnyArray, cycles: AnyArray, bits: AnyArray
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """What is to be least, the most important first; then energy, cycles and bits decide among equals."""
    first = {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]
    return first, energy, cycles, bits


@dataclass(frozen=True, slots=True)
class _Operand:
    """One operand of each layer: the memory that holds it, what a word of that costs, how its words are packed there, and its
    bits in DRAM."""

    memory: str
    read_pj: FloatArray
    write_pj: FloatArray
    memory_words: FloatArray
    packed: FloatArray
    dram_bits: FloatArray

    def words(self, operands: IntOrArray, index: IntArray) -> FloatArray:
        """Words of the memory for a number of operands."""
        return np.ceil(operands / self.packed[index]) * self.memory_words[index]


class StageCosts:
    """Costs of stages on an accelerator, for layers that the mapper knows by their numbers."""

    def __init__(
        self,
        layers: Sequence[tuple[LayerTrace, Placement]],
        besides: Sequence[Beside],
        accelerator: Accelerator,
        batch: int,
        energies: MovementEnergy,
        objective: Objective,
    ) -> None:
        self.objective = objective
        self.counts_cycles = counts_cycles(objective, besides)
        self.pipelined = accelerator.buffers.double_buffered
        self._bandwidth = accelerator.dram_bits_per_cycle
        buffers = accelerator.buffers
        self._banks = {name: memory.banks for name, memory in buffers.memories().items() if memory.banks is not None}
        fixed = [
            beside.with_outputs(
                output_traffic(stored_outputs(layer, batch), layer.output.bits, placement.output_kept, layer.output.coded_bits)
            )
            for (layer, placement), beside in zip(layers, besides, strict=True)
        ]
        self._energy = np.array([one.energy_pj + sum(map(energies.energy_pj, one.accesses)) for one in fixed])
        self._start_bits = np.array([one.constant_bits for one in fixed], np.float64)
        self._finished_bits = np.array([one.activation_bits for one in fixed], np.float64)
        self._fixed_bits = self._start_bits + self._finished_bits
        self._dram_pj = energies.per_operand("dram", "input", 1)[0]
        self._vector = np.array([one.vector for one in fixed], np.float64)
        self._leakage = np.array([one.leakage_pj for one in fixed])
        words = [memory_words(one.accesses, buffers) for one in fixed]
        self._fixed_words = {name: np.array([one.get(name, 0) for one in words], np.float64) for name in self._banks}
        self._constants = np.array([unused_weights(layer) for layer, _ in layers])
        self._arriving = np.array([not placement.input_kept for _, placement in layers])
        self._fetched = np.array([not placement.weights_kept for _, placement in layers])
        widths = np.array([Widths.of(layer) for layer, _ in layers]).T
        self._operands = {name: _operand(name, bits, accelerator, energies) for name, bits in zip(_MOVED, widths, strict=True)}
        coded = [layer.inputs[0].coded_bits for layer, _ in layers]
        if any(bits is not None for bits in coded):
            in_dram = np.where([bits is None for bits in coded], widths[0], [bits or 0.0 for bits in coded])
            self._operands["input"] = replace(self._operands["input"], dram_bits=in_dram)

    def load(self, cost: TilingCost, index: IntArray) -> StageLoad:
        """Energy, bits and busy cycles of tilings, by the numbers of their layers."""
        words = cost.words.with_constants(self._constants[index])
        inputs, weights = words.input_fills * self._arriving[index], words.weight_fills * self._fetched[index]
        waiting = words.partial_sums + words.spilled_sums
        passing: dict[Stored, tuple[IntOrArray, IntOrArray, IntOrArray]] = {
            "input": (words.input_reads, inputs, inputs),
            "weight": (words.weight_reads, weights, weights),
            "partial_sum": (waiting, waiting, 2 * words.spilled_sums),
        }
        energy, bits = self._energy[index], self._fixed_bits[index]
        busy = {name: fixed[index] for name, fixed in self._fixed_words.items()}
        for passed, (read, written, moved) in passing.items():
            operand = self._operands[passed]
            reads, writes = operand.words(read, index), operand.words(written, index)
            moved_bits = moved * operand.dram_bits[index]
            energy = energy + reads * operand.read_pj[index] + writes * operand.write_pj[index] + moved_bits * self._dram_pj
            bits = bits + moved_bits
            if operand.memory in busy:
                busy[operand.memory] = busy[operand.memory] + reads + writes
        units = self._vector[index]
        for name, number in busy.items():
            units = np.maximum(units, np.ceil(number / self._banks[name]))
        return StageLoad(energy, bits, units)

    def dram_cycles(self, bits: FloatArray) -> FloatArray:
        """Cycles in which DRAM moves bits."""
        return bits / self._bandwidth

    def streams(self, swept: IntOrArray, index: IntArray) -> Streams:
        """Cycles of DRAM for what tilings move, by what it is for; `swept` are the inputs that one sweep fetches."""
        bits = {name: operand.dram_bits[index] / self._bandwidth for name, operand in self._operands.items()}
        weight_word = bits["weight"] * self._fetched[index]
        return Streams(
            start=self._start_bits[index] / self._bandwidth + self._constants[index] * weight_word,
            input=swept * self._arriving[index] * bits["input"],
            weight_word=weight_word,
            sum_word=bits["partial_sum"],
            finished=self._finished_bits[index] / self._bandwidth,
        )

    def values(self, load: StageLoad, cycles: FloatArray, index: IntArray) -> tuple[FloatArray, ...]:
        """What is to be least, the most important first, for stages of some cycles."""
        return objective_value(self.objective, load.energy_pj + cycles * self._leakage[index], cycles, load.dram_bits)


def _operand(name: Stored, widths: IntArray, accelerator: Accelerator, energies: MovementEnergy) -> _Operand:
    buffers, rows = accelerator.buffers, {}
    for bits in {int(one) for one in widths}:
        words, operands = buffers.of(name).packed(bits)
        share = buffers.of(name).share(bits) or 1.0
        read, write = energies.per_operand("buffer", name, bits)
        rows[bits] = read / share, write / share, words, operands, bits
    columns = np.array([rows[int(one)] for one in widths], np.float64).T
    return _Operand(buffers.memory(name), *columns)
