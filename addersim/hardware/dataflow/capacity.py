"""Capacity for tiles: what the on-chip memories hold of a layer's inputs, weights and sums at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Buffers, Stored
from addersim.hardware.arrays import BoolOrArray, IntArray, IntOrArray
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.traffic import Widths

__all__ = ["BufferCapacity", "capacities_of", "tile_words"]

_TILED: tuple[Stored, ...] = ("input", "weight", "partial_sum")


class _Memory(NamedTuple):
    """Capacity of one memory, and what a word of each operand takes of it; 0 where the operand is in another memory."""

    limit: IntOrArray
    input: IntOrArray
    weight: IntOrArray
    partial_sum: IntOrArray

    def free(self, inputs: IntOrArray, weights: IntOrArray, sums: IntOrArray) -> IntOrArray:
        """Capacity that a tile leaves; negative where the tile does not fit."""
        return self.limit - (self.input * inputs + self.weight * weights + self.partial_sum * sums)


def tile_words(buffers: Buffers, name: str) -> int:
    """Memory words that the tiles in flight may take.

    Half of a memory that also keeps activations is for tiles. Where transfers overlap with computing, half of the rest is
    filled while the other half is in use.
    """
    share = 1 + (buffers.keep_activations and name != "weight")
    return buffers.memories()[name].capacity_words // (share * (1 + buffers.double_buffered))


@dataclass(frozen=True, slots=True)
class BufferCapacity:
    """Capacity for the tiles of one layer, or arrays for many; an operand that is kept on chip takes none of it."""

    memories: Mapping[str, _Memory]

    @classmethod
    def of(cls, buffers: Buffers, widths: Widths, input_kept: bool, weights_kept: bool = False) -> BufferCapacity:
        """Capacity of the memories of an accelerator for operands of some widths."""
        memories, kept = {}, {"input": input_kept, "weight": weights_kept}
        tiled = {operand: bits for operand, bits in zip(_TILED, widths, strict=True) if not kept.get(operand)}
        for name, buffer in buffers.memories().items():
            packed = {operand: buffer.packed(bits) for operand, bits in tiled.items() if buffers.memory(operand) == name}
            scale = lcm(*(operands for _, operands in packed.values()))
            shares = {operand: words * scale // operands for operand, (words, operands) in packed.items()}
            limit = tile_words(buffers, name) - max(0, len(shares) - 1)  # each tile starts a word of its own
            memories[name] = _Memory(max(0, limit) * scale, *(shares.get(operand, 0) for operand in _TILED))
        return cls(memories)

    @classmethod
    def at(cls, columns: Mapping[str, IntArray]) -> BufferCapacity:
        """Arrays in place of numbers, from what `capacities_of` gives."""
        return cls({name: _Memory(*fields) for name, fields in columns.items()})

    def fits(self, inputs: IntOrArray, weights: IntOrArray, sums: IntOrArray) -> BoolOrArray:
        """Whether tiles of these numbers of words fit all memories."""
        fitting: BoolOrArray = True
        for memory in self.memories.values():
            fitting = fitting & (memory.free(inputs, weights, sums) >= 0)
        return fitting

    def holds(self, other: BufferCapacity) -> bool:
        """Whether every memory has at least the room of another capacity, for the same operands."""
        pairs = ((memory, other.memories[name]) for name, memory in self.memories.items())
        return all(one[1:] == less[1:] and bool(one.limit >= less.limit) for one, less in pairs)

    def too_small(self, inputs: int, weights: int, sums: int) -> str | None:
        """Name of the first memory that does not hold tiles of these numbers of words."""
        return next((name for name, one in self.memories.items() if np.any(one.free(inputs, weights, sums) < 0)), None)

    def largest_window(
        self, footprint: Footprint, window: IntOrArray, pixels: IntOrArray, filters: IntOrArray, sums: IntOrArray
    ) -> IntOrArray:
        """Taps of the largest tile that fits beside a number of pixels, filters and sums: less than 1 where none does.

        More than the whole `window` where that fits.
        """
        largest = window
        for memory in self.memories.values():
            per_input, per_tap, free = memory.input, memory.weight * filters, memory.free(0, 0, sums)
            by_pixel = _quotient(free, per_input * pixels * footprint.spread + per_tap, window)
            if not np.any(per_input):
                largest = np.minimum(largest, by_pixel)
                continue
            channel = per_input * footprint.per_channel(pixels)
            channels = _quotient(free, channel + footprint.taps * per_tap, window)
            part = _quotient(free - (channels + 1) * channel, per_tap, window)  # one channel more, but not all of its taps
            by_channel = footprint.taps * channels + np.clip(part - footprint.taps * channels, 0, footprint.taps)
            by_image = _quotient(free - per_input * footprint.words, per_tap, window)
            largest = np.minimum(largest, np.maximum(np.maximum(by_pixel, by_channel), by_image))
        return largest


def capacities_of(capacities: Sequence[BufferCapacity]) -> dict[str, IntArray]:
    """Capacities as arrays, by memory: a row a field, a column a capacity."""
    return {name: np.array([one.memories[name] for one in capacities], np.int64).T for name in capacities[0].memories}


def _quotient(free: IntOrArray, each: IntOrArray, if_free: IntOrArray) -> IntOrArray:
    """How many of a size fit into a free capacity; `if_free` where they take nothing, negative where not even none fits."""
    return np.where(each > 0, free // np.maximum(each, 1), np.where(free < 0, -1, if_free))
