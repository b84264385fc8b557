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

from addersim.hardware.accelerator import Accelerator, Buffer, Objective, Stored
from addersim.hardware.arrays import AnyArray, FloatArray, IntArray, IntOrArray
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.channels import ChannelCycles, channels, slowest
from addersim.hardware.dataflow.systolic_pipeline import Streams
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import (
    Access,
    ArrayTraffic,
    Level,
    Widths,
    memory_words,
    output_traffic,
    stored_outputs,
    unused_weights,
)
from addersim.trace import LayerTrace

__all__ = ["EnergyLines", "StageCosts", "StageLoad", "counts_cycles", "objective_value"]

_MOVED: tuple[Stored, ...] = ("input", "weight", "partial_sum")
_COLUMNS = ("_arriving", "_constants", "_dram_pj", "_energy", "_fetched", "_fixed_bits", "_leakage", "_vector")
_ROWS = ("_banks", "_fixed_words", "_in_dram")
"""What `StageCosts` keeps of each layer, beside its operands and channels; the latter ones by memory or operand."""


class StageLoad(NamedTuple):
    """What tilings of a layer make of its stage: energy without leakage, bits of DRAM, cycles of the busiest channel, and
    of the busiest unit or memory beside the array."""

    energy_pj: FloatArray
    dram_bits: FloatArray
    transfers: FloatArray
    units: FloatArray


class EnergyLines(NamedTuple):
    """Energy by layer as a start and a slope for each number of `ArrayTraffic`; rounding words up adds at most so much."""

    start: FloatArray
    slopes: FloatArray
    at_most_more: FloatArray

    def energies(self, words: ArrayTraffic, index: IntArray) -> FloatArray:
        """Energy of tilings, by the numbers of their layers: what they take at least, and without rounding."""
        found: FloatArray = self.start[index]
        for number, slope in zip(words, self.slopes.T, strict=True):
            found = found + slope[index] * number
        return found


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
    """One operand of each layer: a memory that holds it, what a word of that costs, and how its words are packed."""

    memory: str
    read_pj: FloatArray
    write_pj: FloatArray
    memory_words: FloatArray
    packed: FloatArray

    def words(self, operands: IntOrArray, index: IntArray) -> FloatArray:
        """Words of the memory for a number of operands."""
        return np.ceil(operands / self.packed[index]) * self.memory_words[index]

    @property
    def columns(self) -> tuple[FloatArray, ...]:
        """All but the memory."""
        return self.read_pj, self.write_pj, self.memory_words, self.packed

    @classmethod
    def joined(cls, several: Sequence[_Operand]) -> _Operand:
        """The layers of several, in memories of one name."""
        return cls(several[0].memory, *map(np.concatenate, zip(*(one.columns for one in several), strict=True)))

    def at(self, places: IntArray) -> _Operand:
        """Some of the layers."""
        return _Operand(self.memory, *(column[places] for column in self.columns))


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
        buffers = accelerator.buffers
        memories = buffers.memories().items()
        self._banks = {name: np.full(len(layers), memory.banks or np.inf, np.float64) for name, memory in memories}
        fixed = [
            beside.with_outputs(_outputs(layer, batch, placement))
            for (layer, placement), beside in zip(layers, besides, strict=True)
        ]
        self._energy = np.array([one.energy_pj + sum(map(energies.energy_pj, one.accesses)) for one in fixed])
        beyond = [[access for access in one.accesses if access.level == "dram"] for one in fixed]
        self._fixed_bits = np.array([sum(access.size_bits for access in accesses) for accesses in beyond], np.float64)
        self._dram_pj = np.full(len(layers), energies.per_operand("dram", "input", 1)[0])
        self._vector = np.array([one.vector for one in fixed], np.float64)
        self._leakage = np.array([one.leakage_pj for one in fixed])
        words = [memory_words(one.accesses, buffers) for one in fixed]
        self._fixed_words = {name: np.array([one.get(name, 0) for one in words], np.float64) for name in (*self._banks, "l2")}
        self._constants = np.array([unused_weights(layer) for layer, _ in layers])
        self._arriving = np.array([not placement.input_kept for _, placement in layers])
        self._fetched = np.array([not placement.weights_kept for _, placement in layers])
        widths = dict(zip(_MOVED, np.array([Widths.of(layer) for layer, _ in layers]).T, strict=True))
        places = {name: (buffers.memory(name), buffers.of(name)) for name in _MOVED}
        self._operands = {name: _operand(*place, name, widths[name], energies) for name, place in places.items()}
        l2 = buffers.l2
        self._in_l2 = {} if l2 is None else {name: _operand("l2", l2, name, widths[name], energies) for name in _MOVED}
        self._most: dict[Stored, IntArray | None] = {
            name: None if l2 is None else np.array([placement.most_from_dram(name) for _, placement in layers])
            for name in _MOVED
        }
        coded = [layer.inputs[0].coded_bits for layer, _ in layers]
        coded_input = np.array([width if bits is None else bits for width, bits in zip(widths["input"], coded, strict=True)])
        self._in_dram: dict[Stored, AnyArray] = {**widths, "input": coded_input}
        moved: dict[Level, dict[Stored, AnyArray]] = {"dram": self._in_dram, "l2": widths}
        self._channels = [
            ChannelCycles(one, fixed, moved[one.level], self._most, self._fetched) for one in channels(accelerator)
        ]

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the memories of the first level."""
        return tuple(self._banks)

    @property
    def transfer_kinds(self) -> IntArray:
        """A number for each layer, equal for those of which DRAM, alone, moves the same if their tiles are the same."""
        (dram,) = self._channels
        own = (self._constants, self._arriving, self._fetched, *dram.columns)
        return np.unique(np.stack(own), axis=1, return_inverse=True)[1].ravel()

    @classmethod
    def joined(cls, several: Sequence[StageCosts]) -> StageCosts:
        """The layers of several, numbered on: all with one objective, as wide a DRAM and nothing behind the first level but
        it, and memories of the same names."""
        joined = copy(several[0])
        for name in _COLUMNS:
            setattr(joined, name, np.concatenate([getattr(one, name) for one in several]))
        for name in _ROWS:
            rows = [getattr(one, name) for one in several]
            setattr(joined, name, {key: np.concatenate([row[key] for row in rows]) for key in rows[0]})
        joined._operands = {name: _Operand.joined([one._operands[name] for one in several]) for name in _MOVED}
        joined._channels = [ChannelCycles.joined([dram for one in several for dram in one._channels])]
        return joined

    @property
    def energy_alone(self) -> bool:
        """Whether energy is to be least, and cycles have no part in it."""
        return self.objective == "energy" and not self.counts_cycles

    @property
    def has_l2(self) -> bool:
        """Whether a second level is between the first and DRAM."""
        return bool(self._in_l2)

    def at(self, places: IntArray) -> StageCosts:
        """Those of some of the layers, with DRAM alone behind the first level, numbered from 0."""
        chosen = copy(self)
        for name in _COLUMNS:
            setattr(chosen, name, getattr(self, name)[places])
        for name in _ROWS:
            setattr(chosen, name, {key: column[places] for key, column in getattr(self, name).items()})
        chosen._operands = {name: operand.at(places) for name, operand in self._operands.items()}
        chosen._channels = [one.at(places) for one in self._channels]
        return chosen

    def lines(self) -> EnergyLines:
        """Energy of each layer as a straight line of the words that move, with DRAM alone behind the first level: never above
        that of `load`, whose memory words are whole."""
        found = {name: self._operands[name] for name in _MOVED}
        per_word = {name: (one.memory_words / one.packed, one) for name, one in found.items()}
        reads = {name: share * one.read_pj for name, (share, one) in per_word.items()}
        writes = {name: share * one.write_pj for name, (share, one) in per_word.items()}
        moved = {name: self._in_dram[name] * self._dram_pj for name in _MOVED}
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
        waiting, spilled = words.partial_sums + words.spilled_sums, words.spilled_sums
        passing: dict[Stored, tuple[IntOrArray, IntOrArray, IntOrArray, IntOrArray]] = {
            "input": (words.input_reads, inputs, inputs, 0),
            "weight": (words.weight_reads, weights, weights, 0),
            "partial_sum": (waiting, waiting, spilled, spilled),
        }
        energy, bits, l2_words = self._energy[index], self._fixed_bits[index], self._fixed_words["l2"][index]
        busy = {name: self._fixed_words[name][index] for name in self._banks}
        for passed, (read, written, filled, evicted) in passing.items():
            operand = self._operands[passed]
            reads, writes = operand.words(read, index), operand.words(written, index)
            energy = energy + reads * operand.read_pj[index] + writes * operand.write_pj[index]
            busy[operand.memory] = busy[operand.memory] + reads + writes
            fetched, stored = filled, evicted
            if (most := self._most[passed]) is not None:
                l2 = self._in_l2[passed]
                fetched, stored = np.minimum(filled, most[index]), np.minimum(evicted, most[index])
                reads, writes = l2.words(filled + stored, index), l2.words(evicted + fetched, index)
                energy = energy + reads * l2.read_pj[index] + writes * l2.write_pj[index]
                l2_words = l2_words + reads + writes
            moved_bits = (fetched + stored) * self._in_dram[passed][index]
            energy, bits = energy + moved_bits * self._dram_pj[index], bits + moved_bits
        units = self._vector[index]
        for name, number in busy.items():
            units = np.maximum(units, np.ceil(number / self._banks[name][index]))
        moved = {"l2": l2_words, "dram": bits}
        transfers = slowest([moved[one.channel.level] / one.channel.rate for one in self._channels])
        return StageLoad(energy, bits, transfers, units)

    def streams(self, swept: IntOrArray, index: IntArray) -> tuple[Streams, ...]:
        """Cycles of each channel for what tilings move, by what it is for; `swept` are the inputs that one sweep fetches."""
        arriving, most = swept * self._arriving[index], self._most["input"]
        found = []
        for one in self._channels:
            first, again = one.channel.passing(arriving, None if most is None else most[index])
            first_inputs = first * one.input[index]
            inputs_again = first_inputs if first is again else again * one.input[index]
            weight = one.weight[index]
            weight_again = weight if one.weight is one.weight_again else one.weight_again[index]
            start = one.start[index] + self._constants[index] * weight
            words = weight, weight_again, one.partial_sum[index]
            found.append(Streams(start, first_inputs, inputs_again, *words, one.finished[index]))
        return tuple(found)

    def values(self, load: StageLoad, cycles: FloatArray, index: IntArray) -> tuple[FloatArray, ...]:
        """What is to be least, the most important first, for stages of some cycles."""
        return objective_value(self.objective, load.energy_pj + cycles * self._leakage[index], cycles, load.dram_bits)


def _outputs(layer: LayerTrace, batch: int, placement: Placement) -> tuple[Access, ...]:
    """What becomes of a layer's final outputs."""
    output = layer.output
    return output_traffic(
        stored_outputs(layer, batch), output.bits, placement.output_kept, output.coded_bits, placement.backing
    )


def _operand(memory: str, buffer: Buffer, name: Stored, widths: IntArray, energies: MovementEnergy) -> _Operand:
    level: Level = "l2" if memory == "l2" else "buffer"
    rows = {}
    for bits in {int(one) for one in widths}:
        words, operands = buffer.packed(bits)
        share = buffer.share(bits) or 1.0
        read, write = energies.per_operand(level, name, bits)
        rows[bits] = read / share, write / share, words, operands
    columns = np.array([rows[int(one)] for one in widths], np.float64).T
    return _Operand(memory, *columns)
