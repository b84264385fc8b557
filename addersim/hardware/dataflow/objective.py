"""What the mapper makes least: energy, cycles and bits of DRAM of the whole stage of a layer, as `estimate` tells them.

A stage is a layer and those fused to it: what these read, write and compute beside it does not depend on its tiles, but shares
memories, DRAM and time with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective, Stored
from addersim.hardware.arrays import AnyArray, FloatArray, IntArray, IntOrArray
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.systolic_pipeline import Streams
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import ArrayTraffic, Widths, memory_words, output_traffic, stored_outputs, unused_weights
from addersim.trace import LayerTrace

__all__ = ["EnergyLines", "StageCosts", "StageLoad", "counts_cycles", "objective_value"]

_MOVED: tuple[Stored, ...] = ("input", "weight", "partial_sum")
_COLUMNS = (
    "_arriving", "_constants", "_dram_pj", "_energy", "_fetched", "_finished_bits", "_fixed_bits", "_leakage", "_start_bits",
    "_vector",
)  # fmt: skip
"""What `StageCosts` keeps of each layer, beside its operands and memories."""


class StageLoad(NamedTuple):
    """What tilings of a layer make of its stage: energy without leakage, bits of DRAM, and cycles of the busiest unit or
    memory
    beside the array."""

    energy_pj: FloatArray
    dram_bits: FloatArray
    units: FloatArray


class EnergyLines(NamedTuple):
    """Energy by layer as a start and a slope for each number of `ArrayTraffic`; rounding words up adds at most so much."""

    start: FloatArray
    slopes: FloatArray
    at_most_more: FloatArray


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
    """One operand of each layer: the memory that holds it, what a word of that costs, and how its words are packed."""

    memory: str
    read_pj: FloatArray
    write_pj: FloatArray
    memory_words: FloatArray
    packed: FloatArray
    bits: FloatArray

    def words(self, operands: IntOrArray, index: IntArray) -> FloatArray:
        """Words of the memory for a number of operands."""
        return np.ceil(operands / self.packed[index]) * self.memory_words[index]

    @classmethod
    def joined(cls, several: Sequence[_Operand]) -> _Operand:
        """The layers of several, in memories of one name."""
        rows = [(one.read_pj, one.write_pj, one.memory_words, one.packed, one.bits) for one in several]
        return cls(several[0].memory, *map(np.concatenate, zip(*rows, strict=True)))


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
        memories = buffers.memories().items()
        self._banks = {name: np.full(len(layers), memory.banks or np.inf, np.float64) for name, memory in memories}
        fixed = [
            beside.with_outputs(output_traffic(stored_outputs(layer, batch), layer.output.bits, placement.output_kept))
            for (layer, placement), beside in zip(layers, besides, strict=True)
        ]
        self._energy = np.array([one.energy_pj + sum(map(energies.energy_pj, one.accesses)) for one in fixed])
        self._start_bits = np.array([one.constant_bits for one in fixed], np.float64)
        self._finished_bits = np.array([one.activation_bits for one in fixed], np.float64)
        self._fixed_bits = self._start_bits + self._finished_bits
        self._dram_pj = np.full(len(layers), energies.per_operand("dram", "input", 1)[0])
        self._vector = np.array([one.vector for one in fixed], np.float64)
        self._leakage = np.array([one.leakage_pj for one in fixed])
        words = [memory_words(one.accesses, buffers) for one in fixed]
        self._fixed_words = {name: np.array([one.get(name, 0) for one in words], np.float64) for name in self._banks}
        self._constants = np.array([unused_weights(layer) for layer, _ in layers])
        self._arriving = np.array([not placement.input_kept for _, placement in layers])
        self._fetched = np.array([not placement.weights_kept for _, placement in layers])
        widths = np.array([Widths.of(layer) for layer, _ in layers]).T
        self._operands = {name: _operand(name, bits, accelerator, energies) for name, bits in zip(_MOVED, widths, strict=True)}

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the on-chip memories."""
        return tuple(self._banks)

    @property
    def transfer_kinds(self) -> IntArray:
        """A number for each layer, equal for those of which DRAM moves the same, if their tiles are the same."""
        bits = [one.bits for one in self._operands.values()]
        own = (self._start_bits, self._finished_bits, self._constants, self._arriving, self._fetched, *bits)
        return np.unique(np.stack(own), axis=1, return_inverse=True)[1].ravel()

    @classmethod
    def joined(cls, several: Sequence[StageCosts]) -> StageCosts:
        """The layers of several, numbered on: all with one objective, as wide a DRAM, and memories of the same names."""
        joined = copy(several[0])
        for name in _COLUMNS:
            setattr(joined, name, np.concatenate([getattr(one, name) for one in several]))
        for name in ("_banks", "_fixed_words"):
            rows = [getattr(one, name) for one in several]
            setattr(joined, name, {memory: np.concatenate([row[memory] for row in rows]) for memory in rows[0]})
        joined._operands = {name: _Operand.joined([one._operands[name] for one in several]) for name in _MOVED}
        return joined

    def lines(self) -> EnergyLines:
        """Energy of each layer as a straight line of the words that move: never above that of `load`, whose memory words are
        whole."""
        found = {name: self._operands[name] for name in _MOVED}
        per_word = {name: (one.memory_words / one.packed, one) for name, one in found.items()}
        reads = {name: share * one.read_pj for name, (share, one) in per_word.items()}
        writes = {name: share * one.write_pj for name, (share, one) in per_word.items()}
        moved = {name: one.bits * self._dram_pj for name, one in found.items()}
        waiting = reads["partial_sum"] + writes["partial_sum"]
        fills = (
            self._arriving * (writes["input"] + moved["input"]),
            self._fetched * (writes["weight"] + moved["weight"]),
            waiting + 2 * moved["partial_sum"],
        )
        slopes = np.stack([*fills, reads["input"], reads["weight"], waiting], axis=1)
        at_most = sum(one.memory_words * (one.read_pj + one.write_pj) for one in found.values())
        start = self._energy + self._constants * (slopes[:, 1] + slopes[:, 4])
        return EnergyLines(start, slopes, np.asarray(at_most))

    def load(self, moved_words: ArrayTraffic, index: IntArray) -> StageLoad:
        """Energy, bits and busy cycles of tilings, by the numbers of their layers."""
        words = moved_words.with_constants(self._constants[index])
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
            moved_bits = moved * operand.bits[index]
            dram_pj = moved_bits * self._dram_pj[index]
            energy = energy + reads * operand.read_pj[index] + writes * operand.write_pj[index] + dram_pj
            bits = bits + moved_bits
            busy[operand.memory] = busy[operand.memory] + reads + writes
        units = self._vector[index]
        for name, number in busy.items():
            units = np.maximum(units, np.ceil(number / self._banks[name][index]))
        return StageLoad(energy, bits, units)

    def dram_cycles(self, bits: FloatArray) -> FloatArray:
        """Cycles in which DRAM moves bits."""
        return bits / self._bandwidth

    def streams(self, swept: IntOrArray, index: IntArray) -> Streams:
        """Cycles of DRAM for what tilings move, by what it is for; `swept` are the inputs that one sweep fetches."""
        bits = {name: operand.bits[index] / self._bandwidth for name, operand in self._operands.items()}
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
