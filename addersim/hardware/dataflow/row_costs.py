"""What a row stationary mapping costs: accesses at every level, and energy, cycles and bits of DRAM of its whole stage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.arrays import AnyArray, FloatArray, IntOrArray
from addersim.hardware.dataflow.array_run import Beside, Placement, whole_cycles
from addersim.hardware.dataflow.channels import Channel, channels, slowest
from addersim.hardware.dataflow.objective import objective_value
from addersim.hardware.dataflow.row_stationary import RowCounts, RowMapping, RowShape, count_rows, fetched
from addersim.hardware.dataflow.tile_pipeline import LoopNest, Tile, pipelined_cycles
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Access, Widths, memory_words, through_l2

__all__ = ["RowCosts", "ZerosUsed", "row_accesses"]

_GROUP, _HELD, _STRIP, _IMAGE, _CHANNEL = range(5)
_LOOPS = range(5)


class ZerosUsed(NamedTuple):
    """What zeros of a layer's input save: taps for which no weight is read, and bits of a coded word in DRAM, on average."""

    gated_taps: int = 0
    coded_bits: float | None = None


NOTHING = ZerosUsed()


def row_accesses(
    shape: RowShape,
    mapping: RowMapping,
    widths: Widths,
    constants: int,
    placement: Placement,
    zeros: ZerosUsed = NOTHING,
    counts: RowCounts | None = None,
) -> tuple[Access, ...]:
    """Words at every level, final outputs not included; arrays for arrays of mappings. `counts` are its own where known."""
    moved = counts or count_rows(shape, mapping)
    words: tuple[AnyArray, ...] = fetched(shape, mapping)
    inputs, fills = words[0] * (not placement.input_kept), (words[1] + constants) * (not placement.weights_kept)
    taps, sums, reads, constant_reads = shape.taps, _any(moved.partial_sums), _any(moved.input_reads), _any(moved.weight_reads)
    delivered, kernels, added = map(_any, (moved.network_inputs, moved.network_weights, moved.network_sums))
    direct = (
        Access("register", "input", taps, delivered, widths.input),
        Access("register", "weight", taps - zeros.gated_taps, kernels, widths.weight),
        Access("register", "partial_sum", taps, taps, widths.partial_sum),
        Access("network", "input", delivered, 0, widths.input),
        Access("network", "weight", kernels, 0, widths.weight),
        Access("network", "partial_sum", added, 0, widths.partial_sum),
        Access("buffer", "input", reads, inputs, widths.input),
        Access("buffer", "weight", constant_reads + constants, fills, widths.weight),
        Access("buffer", "partial_sum", sums, sums, widths.partial_sum),
        Access("dram", "input", inputs, 0, widths.input, zeros.coded_bits),
        Access("dram", "weight", fills, 0, widths.weight),
    )
    return through_l2(direct, placement.backing)


def _any(words: IntOrArray) -> AnyArray:
    """Words of an access, which are arrays here for arrays of mappings."""
    return words


@dataclass(frozen=True)
class RowCosts:
    """Costs of the stage of one layer on an accelerator, by its mapping. Two that are equal have the same best mapping.

    Attributes
    ----------
    shape, widths, constants, placement
        The layer; constants are stored words beside its weights.
    beside
        What else is in its stage, its final outputs included.
    accelerator, objective
        Where, and what is to be least.
    energies
        Unit energies; `unit_energies` holds those that matter.
    zeros
        What zeros of the input save.
    """

    shape: RowShape
    widths: Widths
    constants: int
    placement: Placement
    beside: Beside
    accelerator: Accelerator
    objective: Objective
    energies: MovementEnergy = field(compare=False, repr=False)
    zeros: ZerosUsed = NOTHING
    unit_energies: tuple[float, ...] = ()

    def priced(self) -> RowCosts:
        """With the unit energies that tell two costs apart."""
        units = [
            one._replace(reads=reads, writes=1 - reads) for one in self._accesses(RowMapping(*(1,) * 7)) for reads in (0, 1)
        ]
        return replace(self, unit_energies=tuple(float(self.energies.energy_pj(unit)) for unit in units))

    @property
    def pipelined(self) -> bool:
        """Whether transfers overlap with computing."""
        return self.accelerator.buffers.double_buffered

    def values(self, mapping: RowMapping, exact: bool = True) -> FloatArray:
        """Rows of what is to be least, the most important first, a column a mapping.

        Where transfers overlap, a bound unless `exact`: at least the busiest resource is waited for.
        """
        counts = count_rows(self.shape, mapping)
        accesses = self._accesses(mapping, counts)
        moved = (*accesses, *self.beside.accesses)
        energy: AnyArray = self.beside.energy_pj + sum(self.energies.energy_pj(one) for one in moved)
        bits = sum(one.size_bits for one in moved if one.level == "dram")
        busy = np.maximum(counts.cycles, self._units(accesses))
        transfers = slowest([channel.cycles(moved) for channel in channels(self.accelerator)])
        if not self.pipelined:
            cycles = busy + transfers
        else:
            blocks = _Blocks(self, mapping)
            ends = blocks.ends()
            cycles = blocks.cycles(busy) if exact else ends + np.maximum(busy, transfers - ends)
        passing = whole_cycles(np.asarray(cycles, np.float64))
        energy = energy + passing * self.beside.leakage_pj
        return np.stack(np.broadcast_arrays(*objective_value(self.objective, energy, passing, np.asarray(bits))))

    def _accesses(self, mapping: RowMapping, counts: RowCounts | None = None) -> tuple[Access, ...]:
        return row_accesses(self.shape, mapping, self.widths, self.constants, self.placement, self.zeros, counts)

    def _units(self, accesses: tuple[Access, ...]) -> IntOrArray:
        """Cycles of the busiest unit or memory beside the array."""
        buffers = self.accelerator.buffers
        words = memory_words((*accesses, *self.beside.accesses), buffers)
        units: IntOrArray = self.beside.vector
        for name, memory in buffers.memories().items():
            if memory.banks is not None and name in words:
                units = np.maximum(units, -(-words[name] // memory.banks))
        return units


class _Blocks:
    """Blocks of held filters, strips, images and channels, one after another, each computed for its share of the taps."""

    def __init__(self, costs: RowCosts, mapping: RowMapping) -> None:
        shape = costs.shape
        self.sizes = (shape.geometry.groups, shape.filters, shape.outputs[0], shape.images, shape.channels)
        tiles = (1, mapping.held, mapping.strip, mapping.images, mapping.channels * mapping.channel_sets)
        tile = [np.minimum(one, size) for one, size in zip(np.broadcast_arrays(*tiles), self.sizes, strict=True)]
        trips = [-(-size // one) for size, one in zip(self.sizes, tile, strict=True)]
        rest = [size - (number - 1) * one for size, number, one in zip(self.sizes, trips, tile, strict=True)]
        order = (_GROUP, _STRIP, _IMAGE, _HELD, _CHANNEL) if mapping.input_kept == "strip" else tuple(_LOOPS)
        inside = [[np.bool_(order.index(b) > order.index(a)) for b in _LOOPS] for a in _LOOPS]
        self.nest = LoopNest(trips, tile, rest, inside)
        self.inputs = {"pass": tuple(_LOOPS), "strip": (_GROUP, _STRIP, _IMAGE), "all": (_GROUP,)}[mapping.input_kept]
        self.weights = {"pass": tuple(_LOOPS), "held": (_GROUP, _HELD), "all": (_GROUP,)}[mapping.weight_kept]
        words, _ = fetched(shape, mapping)
        resweeps = mapping.input_kept == "pass"
        swept = words / (trips[_HELD] if resweeps else 1)
        self.swept_again = (_HELD,) if resweeps else ()
        self.streams = [_stream(costs, channel, swept, trips[_GROUP]) for channel in channels(costs.accelerator)]
        self.start = slowest([stream.start for stream in self.streams])

    def ends(self) -> AnyArray:
        """Cycles of the first load and the last store, which nothing hides."""
        every = [np.True_] * len(_LOOPS)
        first, last = (Tile(sizes, every, every, every) for sizes in (self.nest.tile, self.nest.rest))
        return self.start + self.load(first) + self.store(last)

    def cycles(self, busy: IntOrArray) -> AnyArray:
        """Cycles of all blocks, where the busiest unit on chip takes some."""
        steps = pipelined_cycles(
            self.nest, lambda tile: np.asarray(busy * self.share(tile, tuple(_LOOPS))), self.load, self.store
        )
        return self.start + steps

    def share(self, tile: Tile, loops: tuple[int, ...]) -> AnyArray:
        """The part that a tile is of all of some loops."""
        part: AnyArray = np.ones(())
        for loop in loops:
            part = part * (tile.size[loop] / self.sizes[loop])
        return part

    def load(self, tile: Tile) -> AnyArray:
        """Cycles for what a tile needs that the one before did not."""
        parts = tuple(loop for loop in self.inputs if loop in (_STRIP, _IMAGE, _CHANNEL))
        kernels = tuple(loop for loop in self.weights if loop in (_HELD, _CHANNEL))
        inputs = self.share(tile, parts) * tile.any_moved(self.inputs)
        weights = self.share(tile, kernels) * tile.any_moved(self.weights)
        new_inputs = tile.all_first(self.swept_again)
        new_weights = tile.all_first((_STRIP, _IMAGE))
        return slowest(
            np.where(new_inputs, *stream.inputs) * inputs + np.where(new_weights, *stream.weights) * weights
            for stream in self.streams
        )

    def store(self, tile: Tile) -> AnyArray:
        """Cycles for the sums that a tile finished."""
        return (
            slowest([stream.finished for stream in self.streams])
            * self.share(tile, (_GROUP, _HELD, _STRIP, _IMAGE))
            * tile.last[_CHANNEL]
        )


class _Stream(NamedTuple):
    """Cycles of one channel: before the first block; for the inputs of a group and for its weights, new ones and those that
    are fetched again; and for all that follows finished sums."""

    start: float
    inputs: tuple[AnyArray, AnyArray]
    weights: tuple[AnyArray, AnyArray]
    finished: float


def _stream(costs: RowCosts, channel: Channel, swept: AnyArray, groups: AnyArray) -> _Stream:
    """Cycles of a channel, where one sweep over all groups fetches a number of inputs."""
    shape, placement = costs.shape, costs.placement
    coded = costs.zeros.coded_bits if channel.memory is None else None
    input_bits = costs.widths.input if coded is None else coded
    input_cycles, weight_cycles = (channel.word_cycles(bits) for bits in (input_bits, costs.widths.weight))
    most_inputs, most_weights = (placement.most_from_dram(operand) for operand in ("input", "weight"))
    inputs = channel.passing(swept * (not placement.input_kept), most_inputs)
    weights = channel.passing(groups * shape.weights * (not placement.weights_kept), most_weights)
    constants, _ = channel.passing(costs.constants * (not placement.weights_kept), most_weights)
    return _Stream(
        channel.cycles(costs.beside.constants(channel.level)) + constants * weight_cycles,
        (inputs[0] * input_cycles / groups, inputs[1] * input_cycles / groups),
        (weights[0] * weight_cycles / groups, weights[1] * weight_cycles / groups),
        channel.cycles(costs.beside.activations(channel.level)),
    )
