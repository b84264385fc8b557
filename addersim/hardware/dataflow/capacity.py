"""Room for tiles: what the on-chip memories hold of a layer's inputs, weights and sums at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Buffers, Stored
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.traffic import Whole, Widths

__all__ = ["Room", "gathered", "tile_words"]

_TILED: tuple[Stored, ...] = ("input", "weight", "partial_sum")


class _Memory(NamedTuple):
    """One memory: what it holds for tiles, and what a word of each operand takes of it; 0 where it lies elsewhere."""

    limit: Whole
    input: Whole
    weight: Whole
    partial_sum: Whole


def tile_words(buffers: Buffers, name: str) -> int:
    """Memory words that the tiles of one step may take.

    Half of a memory that also keeps activations is theirs. Where transfers overlap, half of what is left is filled while the
    other half is in use.
    """
    share = 1 + (buffers.keep_activations and name != "weight")
    return buffers.memories()[name].capacity_words // (share * (1 + buffers.double_buffered))


@dataclass(frozen=True, slots=True)
class Room:
    """Room for the tiles of one layer, or of many; an input that is kept on chip takes none of it."""

    memories: Mapping[str, _Memory]

    @classmethod
    def of(cls, buffers: Buffers, widths: Widths, input_kept: bool) -> Room:
        """Room that the memories of an accelerator give to operands of some widths."""
        found = {}
        for name, buffer in buffers.memories().items():
            packed = {
                operand: buffer.packed(bits)
                for operand, bits in zip(_TILED, widths, strict=True)
                if buffers.memory(operand) == name and not (operand == "input" and input_kept)
            }
            scale = lcm(*(operands for _, operands in packed.values()))
            shares = {operand: words * scale // operands for operand, (words, operands) in packed.items()}
            limit = tile_words(buffers, name) - max(0, len(shares) - 1)  # each tile starts a word of its own
            found[name] = _Memory(max(0, limit) * scale, *(shares.get(operand, 0) for operand in _TILED))
        return cls(found)

    @classmethod
    def of_many(cls, rooms: Sequence[Room], index: Whole) -> Room:
        """Room with arrays for numbers: those of the rooms at an index."""
        return cls({name: _Memory(*gathered([room.memories[name] for room in rooms], index)) for name in rooms[0].memories})

    def fits(self, inputs: Whole, weights: Whole, sums: Whole) -> Whole:
        """Whether tiles of so many words fit all memories."""
        fitting: Whole = True
        for one in self.memories.values():
            fitting = fitting & (one.input * inputs + one.weight * weights + one.partial_sum * sums <= one.limit)
        return fitting

    def too_small(self, inputs: int, weights: int, sums: int) -> str | None:
        """Name of the first memory that has no room for tiles of so many words."""
        for name, one in self.memories.items():
            if one.input * inputs + one.weight * weights + one.partial_sum * sums > one.limit:
                return name
        return None

    def most_window(self, footprint: Footprint, window: Whole, pixels: Whole, filters: Whole, sums: Whole) -> Whole:
        """Taps of the largest tile that fits beside so many pixels, filters and sums: less than 1 where none does.

        More than the whole `window` where that fits.
        """
        most = window
        for one in self.memories.values():
            per_input, per_tap, free = one.input, one.weight * filters, one.limit - one.partial_sum * sums
            by_pixel = _quotient(free, per_input * pixels + per_tap, window)
            if not np.any(per_input):
                most = np.minimum(most, by_pixel)
                continue
            channel = per_input * footprint.per_channel(pixels)
            channels = _quotient(free, channel + footprint.taps * per_tap, window)
            part = _quotient(free - (channels + 1) * channel, per_tap, window)  # one channel more, but not all of its taps
            by_channel = footprint.taps * channels + np.clip(part - footprint.taps * channels, 0, footprint.taps)
            by_image = _quotient(free - per_input * footprint.words, per_tap, window)
            most = np.minimum(most, np.maximum(np.maximum(by_pixel, by_channel), by_image))
        return most


def gathered(rows: Sequence[tuple[int, ...]], index: Whole) -> Whole:
    """Numbers of some records as arrays: of each number those of the records at an index."""
    return np.take(np.array(rows, np.int64).T, index, axis=1)


def _quotient(free: Whole, each: Whole, most: Whole) -> Whole:
    """How many fit into what is free, if each takes so much; `most` where it takes nothing. Negative where less than none."""
    return np.where(each > 0, free // np.maximum(each, 1), np.where(free < 0, -1, most))
